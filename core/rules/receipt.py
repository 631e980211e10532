"""The receipt: a signed statement of the request, the decision, the checks, the approvals and what was published."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from core.model.approval import Approval, QuorumStatus
from core.model.errors import PermanentError
from core.model.event import Event, canonical
from core.model.provenance import NO_PROVENANCE
from core.model.task import PullRequest, Task
from core.model.turn import Turn
from core.signing import Keys

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:countersign:receipt:v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
ARTIFACT = "receipt.json"


@dataclass(frozen=True, slots=True)
class PublishedFacts:
    """Where and when the approved tree was published."""

    pull_request: PullRequest
    tree: str
    at: datetime


def statement(
    task: Task,
    turns: Iterable[Turn],
    approvals: Iterable[Approval],
    chain: Sequence[Event],
    published: PublishedFacts,
    needs: QuorumStatus | None = None,
) -> dict[str, Any]:
    """The in-toto statement (https://in-toto.io/Statement/v1) about the published commit.

    Its subject is the commit and its tree; its predicate is everything that led to it. The last event of `chain` ties
    it to the task's history; `needs` is the quorum as it was counted; `picked` are the choices of parts that led to the
    change. Receipts of older versions have no `parameters`, `lane_version`, `making`, `needs` and `picked`.
    """
    staged, pull_request = task.staged, published.pull_request
    assert staged is not None
    return {
        "_type": STATEMENT_TYPE,
        "subject": [
            {
                "name": f"{staged.repository}@{pull_request.branch}",
                "digest": {"gitCommit": pull_request.head, "gitTree": published.tree},
            }
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "task": {"number": task.number, "id": task.id, "revision": task.revision},
            "requester": task.requester,
            "authors": sorted(task.authors),
            "turns": [turn.to_json() for turn in turns],
            "parameters": dict(task.parameters),
            "decision": _decision(task, chain),
            "making": _provenance(task),
            "picked": [part.to_json() for part in task.current.basis.picked],
            "staged": staged.to_json(),
            "needs": needs.to_json() if needs else None,
            "approvals": [a.to_json() for a in approvals if a.digest == staged.digest],
            "published": {"branch": pull_request.branch, "head": pull_request.head, "tree": published.tree},
            "at": published.at.isoformat(),
            "event": {"seq": chain[-1].seq, "hash": chain[-1].hash},
        },
    }


def _decision(task: Task, chain: Sequence[Event]) -> dict[str, Any]:
    """What policy decided before the work, and the version of the lane that did it."""
    requirements = task.current.requirements
    assert requirements is not None
    return {
        "lane": task.current.lane,
        "lane_version": _lane_version(chain),
        "rule": task.current.rule,
        "reason": task.current.reason,
        "policy_digest": task.current.policy_digest,
        "terms": requirements.to_json(),
    }


def _provenance(task: Task) -> dict[str, Any]:
    """What made the bytes and what that cost, over every revision in the diff, without a model's own words."""
    provenance = task.current.provenance or NO_PROVENANCE
    shared = {"run_of": provenance.run_of} if provenance.run_of is not None else {}
    return {"executor": provenance.executor, "usage": [asdict(usage) for usage in provenance.usage], **shared}


def _lane_version(chain: Sequence[Event]) -> int | None:
    """The version of the lane's file when the change was staged; None if an older version did not record it."""
    versions = (json.loads(event.body).get("lane_version") for event in reversed(chain))
    return next((int(version) for version in versions if version is not None), None)


def sign(keys: Keys, content: dict[str, Any]) -> bytes:
    """The receipt's file: a DSSE envelope of the canonical statement."""
    envelope = keys.sign(canonical(content).encode(), PAYLOAD_TYPE)
    return (json.dumps(envelope, indent=2) + "\n").encode()


def read(keys: Keys, receipt: bytes) -> dict[str, Any]:
    """The predicate of a receipt whose signature holds; raises `PermanentError` otherwise."""
    try:
        envelope = json.loads(receipt)
    except ValueError as error:
        raise PermanentError("bad_receipt", "the receipt is not JSON", "Restore it from a backup.") from error
    return predicate_of(keys.open(envelope))


def predicate_of(payload: bytes) -> dict[str, Any]:
    """The predicate in the payload of a receipt's envelope; raises `PermanentError` for another statement."""
    content = json.loads(payload)
    if content.get("_type") != STATEMENT_TYPE or content.get("predicateType") != PREDICATE_TYPE:
        raise PermanentError("bad_receipt", "this is not a receipt of Countersign", "Restore it from a backup.")
    predicate: dict[str, Any] = content["predicate"]
    return predicate
