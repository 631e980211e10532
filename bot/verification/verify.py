"""Verification: checks offline, from the home and a clone, that what was published is what was approved."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bot.verification.checks import VerifyCheck, attempt, failed, faulty, passed, warned
from bot.verification.passkey_check import passkey_check
from bot.verification.tree_checks import tree_checks
from core.model.decision import ApprovalRequirements
from core.model.errors import CountersignError, NotFoundError
from core.model.event import broken_link
from core.model.lifecycle import State
from core.model.passkey import TrustedPasskey
from core.model.staged_diff import short_digest
from core.rules import receipt
from core.rules.audit import AuditRows, contradictions
from core.rules.quorum import signed_quorum
from core.services.home_checks import StoredTask
from core.signing import Keys

if TYPE_CHECKING:
    from bot.configuration.home import Home
    from core.ports.repository import Repository
    from core.services.home_checks import HomeChecks
    from core.services.queries import Queries

Predicate = dict[str, Any]
_MODIFIED = "The database was modified outside Countersign."
_PUBLISHED = "task.published"


class VerifySources(Protocol):
    """What a verification reads; `bot.wiring.app.App` has it."""

    home: Home

    @property
    def home_checks(self) -> HomeChecks:
        """All rows of a task."""

    @property
    def queries(self) -> Queries:
        """The bytes of artifacts."""

    def repository(self, name: str) -> Repository:
        """The git store of the repository called `name`."""


async def verify_task(
    app: VerifySources, number: int, clone: Path | None, trusted: Sequence[TrustedPasskey] = ()
) -> list[VerifyCheck]:
    """Run every check on a task's newest receipt; raises `NotFoundError` if it has none.

    With `trusted` passkeys, the quorum must be proven by them, and not by the home's word.
    """
    from lanes.repository.clone import Clone

    stored = await app.home_checks.stored_task(number)
    receipts = [artifact for artifact in stored.artifacts if artifact.name == receipt.ARTIFACT]
    if not receipts:
        raise NotFoundError("no_receipt", f"#{number} was never published, so it has no receipt", "Approve it first.")
    checks: list[VerifyCheck] = []
    signed = await attempt(checks, "receipt", lambda: app.queries.artifact(receipts[-1]))
    if signed is None:
        return checks
    try:
        predicate = receipt.read(Keys(app.home.keys), signed)
        checks.append(passed("signature", f"the receipt is signed by this home's key ({len(signed)} bytes)"))
    except CountersignError as error:
        return [*checks, faulty("signature", error)]
    checks.append(_chain(stored, predicate))
    checks.append(_approvals(predicate))
    checks.append(passkey_check(predicate, Keys(app.home.keys).key_id(), trusted))
    checks.append(_rows(stored, predicate))
    checks.append(_patch(stored, predicate))
    checks.extend(await _parts(app, stored, predicate))
    repository = Clone.at(app.repository(stored.task.repo or ""), clone)
    state = stored.task.pull_request.state if stored.task.pull_request else "gone"
    checks.extend(await tree_checks(repository, predicate, str(clone) if clone else "the remote", state))
    checks.extend(await _merged(app, stored, predicate, clone))
    return checks


def _chain(stored: StoredTask, predicate: Predicate) -> VerifyCheck:
    """The event chain is intact, contains the receipt's event, and the receipt's commit was the last one published."""
    chain = stored.chain
    broken = broken_link(chain)
    if broken:
        return failed("events", broken, _MODIFIED)
    anchor = predicate["event"]
    if len(chain) < anchor["seq"] or chain[anchor["seq"] - 1].hash != anchor["hash"]:
        return failed("events", "the receipt names an event that is not in the chain", "The history was rewritten.")
    published = [json.loads(e.body) for e in chain if e.kind == _PUBLISHED and e.seq > anchor["seq"]]
    if not published:
        return failed("events", "no event records that the receipt's change was published", _MODIFIED)
    head = published[-1].get("head")
    if head != predicate["published"]["head"]:
        return failed("events", f"{_short(head)} was published last, but its receipt is missing", _MODIFIED)
    return passed("events", f"{len(chain)} events, the chain is intact, and the receipt names number {anchor['seq']}")


def _rows(stored: StoredTask, predicate: Predicate) -> VerifyCheck:
    """The task's rows agree with the receipt and with the events (security.md 156)."""
    revision = next((r for r in stored.revisions if r.n == predicate["task"]["revision"]), None)
    if revision is None or revision.staged is None:
        return failed("rows", f"the receipt's revision {predicate['task']['revision']} is missing", _MODIFIED)
    rows = AuditRows(stored.task, revision, stored.turns, stored.approvals)
    contradicted = () if broken_link(stored.chain) else contradictions(rows, stored.chain)
    differences = [*_differences_from_receipt(rows, predicate), *contradicted]
    if differences:
        return failed("rows", "; ".join(dict.fromkeys(differences)), _MODIFIED)
    return passed("rows", "request, turns, approvals, guard and change are stored as they were signed")


def _differences_from_receipt(rows: AuditRows, predicate: Predicate) -> Iterator[str]:
    """How the rows differ from the receipt."""
    task, revision, decision = rows.task, rows.revision, predicate["decision"]
    assert revision.staged is not None
    stored = revision.staged.to_json()
    if (task.number, task.id) != (predicate["task"]["number"], predicate["task"]["id"]):
        yield "the receipt belongs to another task"
    if task.requester != predicate["requester"]:
        yield f"the task's requester is {task.requester}, the receipt's is {predicate['requester']}"
    if not set(predicate["authors"]) <= task.authors_of(revision):
        yield "the authors differ from the receipt"
    if [turn.to_json() for turn in rows.turns][: len(predicate["turns"])] != predicate["turns"]:
        yield "the turns differ from the receipt"
    if [approval.to_json() for approval in rows.counted] != predicate["approvals"]:
        yield "the approvals differ from the receipt"
    if [part.to_json() for part in revision.basis.picked] != predicate.get("picked", []):
        yield "the choices of parts differ from the receipt"
    if stored["guard"] != predicate["staged"]["guard"]:
        yield "the guard's report differs from the receipt"
    if {**stored, "guard": None} != {**predicate["staged"], "guard": None}:
        yield "the staged change differs from the receipt"
    decided = (revision.lane, revision.rule, revision.reason, revision.policy_digest)
    signed = tuple(decision[key] for key in ("lane", "rule", "reason", "policy_digest"))
    if decided != signed or revision.requirements != ApprovalRequirements.from_json(decision["terms"]):
        yield "the decision differs from the receipt"
    pull_request = task.pull_request
    if pull_request is None or (pull_request.branch, pull_request.head, pull_request.digest) != (
        predicate["published"]["branch"],
        predicate["published"]["head"],
        predicate["staged"]["digest"],
    ):
        yield "the pull request differs from the receipt"


def _patch(stored: StoredTask, predicate: Predicate) -> VerifyCheck:
    """The diff stored with the revision is the one made when it was staged."""
    n = predicate["task"]["revision"]
    bodies = [json.loads(e.body) for e in stored.chain if e.kind == "task.staged"]
    staged_sha256 = next((b["patch_sha256"] for b in bodies if b.get("revision") == n and "patch_sha256" in b), None)
    stored_sha256 = next((a.sha256 for a in stored.artifacts if a.name == "change.patch" and a.revision == n), None)
    if staged_sha256 is None:
        return passed("patch", "staged by an older version, which did not record the diff's hash")
    if stored_sha256 != staged_sha256:
        return failed("patch", "the stored diff is not the one made at staging", _MODIFIED)
    return passed("patch", "the stored diff is the one made at staging")


async def _parts(app: VerifySources, stored: StoredTask, predicate: Predicate) -> list[VerifyCheck]:
    """What git says of the choices of parts that led to the change."""
    if not predicate.get("picked"):
        return []
    from bot.verification.parts_check import parts_checks

    return await parts_checks(app.repository(stored.task.repo or ""), stored.revisions, predicate)


def _approvals(predicate: Predicate) -> VerifyCheck:
    """The receipt's digest has the quorum of the receipt's terms, from people who are not its authors."""
    needs, short = signed_quorum(predicate), short_digest(predicate["staged"]["digest"])
    if not needs.met:
        return failed("approvals", f"{len(needs.have)} of {needs.count} approvals of {short}", "It was not approved.")
    return passed("approvals", f"{short} countersigned by {', '.join(needs.have)} ({needs.count} needed)")


async def _merged(
    app: VerifySources, stored: StoredTask, predicate: Predicate, clone: Path | None
) -> list[VerifyCheck]:
    """The target branch agrees with the events: it has the recorded merge, or none."""
    from lanes.repository import as_git
    from lanes.repository.clone import Clone

    own = app.repository(stored.task.repo or "")
    name, head = own.spec.branch, predicate["published"]["head"]
    repository = Clone.at(own, clone)
    is_remote = clone is None and as_git(own).remote.address.path is not None
    where = f"{name} in {clone or 'the remote'}"
    tip = await repository.tip_of(name)
    merges = [json.loads(e.body) for e in stored.chain if e.kind == "task.merged"]
    if tip is None:
        return [warned("merge", f"{where} does not exist here", "Name a clone with --repo-path.")] if merges else []
    if not merges:
        is_unrecorded = stored.task.state is not State.MERGED and await repository.reaches(head, tip)
        mend = "Merge with `countersign merge`, or run a server that notices merges made by hand."
        detail = f"{where} has {head[:12]}, but no event records a merge"
        return [failed("merge", detail, mend)] if is_unrecorded else []
    commit = merges[-1].get("commit")
    if not commit or (not is_remote and not await repository.reaches(commit, commit)):
        detail = f"{where} does not have the merge {_short(commit)} yet" if commit else "the forge named no merge"
        return [warned("merge", detail, "Fetch it first.")]
    if not await repository.reaches(commit, tip):
        detail = f"{where} no longer has the merge {commit[:12]}: it was reset"
        return [failed("merge", detail, "The branch was moved.")]
    checks: list[VerifyCheck] = []
    difference = await attempt(checks, "merge", lambda: repository.merge_problem(commit, head))
    if difference:
        checks.append(failed("merge", difference, "The merge contains changes that were not approved."))
    elif not checks:
        checks.append(passed("merge", f"{where} has the merge {commit[:12]}, of exactly the approved commit"))
    return checks


def _short(commit: object) -> str:
    return str(commit)[:12]
