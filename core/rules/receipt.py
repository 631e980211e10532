"""The receipt: a signed statement of what was asked, decided, checked, approved by whom, and published."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from core.model.approval import Approval, QuorumStatus
from core.model.errors import PermanentError
from core.model.event import Event, canonical
from core.model.provenance import NOT_TOLD
from core.model.task import PullRequest, Task
from core.model.turn import Turn
from core.signing import Keys

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:countersign:receipt:v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
ARTIFACT = "receipt.json"


@dataclass(frozen=True, slots=True)
class PublishedFacts:
    """Where the approved tree went."""

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

    Its subject is the commit and its tree; its predicate is everything that led there. The last event of `chain` ties
    it to the task's history; `needs` is how the quorum was counted. What older versions signed has no `parameters`, no
    `lane_version`, no `making` and no `needs`.
    """
    staged, requirements, last = task.staged, task.current.terms, chain[-1]
    assert staged is not None
    assert requirements is not None
    pull_request = published.pull_request
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
            "decision": {
                "lane": task.current.lane,
                "lane_version": _lane_version(chain),
                "rule": task.current.rule,
                "reason": task.current.reason,
                "policy_digest": task.current.policy_digest,
                "terms": requirements.to_json(),
            },
            "making": _making(task),
            "staged": staged.to_json(),
            "needs": needs.to_json() if needs else None,
            "approvals": [a.to_json() for a in approvals if a.digest == staged.digest],
            "published": {"branch": pull_request.branch, "head": pull_request.head, "tree": published.tree},
            "at": published.at.isoformat(),
            "event": {"seq": last.seq, "hash": last.hash},
        },
    }


def _making(task: Task) -> dict[str, Any]:
    """Who made the bytes and what that cost, over every revision that the diff holds; no words of a model's."""
    making = task.current.making or NOT_TOLD
    return {"executor": making.executor, "usage": [asdict(spent) for spent in making.usage]}


def _lane_version(chain: Sequence[Event]) -> int | None:
    """The version that the lane's file had when the change was staged; None where older versions did not record it."""
    versions = (json.loads(event.body).get("lane_version") for event in reversed(chain))
    return next((int(version) for version in versions if version is not None), None)


def plain(value: object) -> Any:
    """`value` as JSON keeps it: what is read from a receipt can be compared with it."""
    return json.loads(canonical(value))


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
    content = json.loads(keys.open(envelope))
    if content.get("_type") != STATEMENT_TYPE or content.get("predicateType") != PREDICATE_TYPE:
        raise PermanentError("bad_receipt", "the receipt states something else", "Restore it from a backup.")
    predicate: dict[str, Any] = content["predicate"]
    return predicate
