"""Verification: checks offline, from the home and a clone, that what was published is what was approved."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bot.verification.passkey_check import passkey_check
from core.model.decision import ApprovalRequirements
from core.model.errors import CountersignError, NotFoundError
from core.model.event import broken_link
from core.model.lifecycle import State
from core.model.passkey import TrustedPasskey
from core.model.staged_diff import GuardReport, short_digest, stage
from core.model.task import Task
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

VerifyCheck = dict[str, Any]
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
    stored = await app.home_checks.stored_task(number)
    receipts = [artifact for artifact in stored.artifacts if artifact.name == receipt.ARTIFACT]
    if not receipts:
        raise NotFoundError("no_receipt", f"#{number} was never published, so it has no receipt", "Approve it first.")
    checks: list[VerifyCheck] = []
    signed = await _try(checks, "receipt", lambda: app.queries.artifact(receipts[-1]))
    if signed is None:
        return checks
    try:
        predicate = receipt.read(Keys(app.home.keys), signed)
        checks.append(_ok("signature", f"the receipt is signed by this home's key ({len(signed)} bytes)"))
    except CountersignError as error:
        return [*checks, _fail("signature", error)]
    checks.append(_chain(stored, predicate))
    checks.append(_approvals(predicate))
    checks.append(passkey_check(predicate, Keys(app.home.keys).key_id(), trusted))
    checks.append(_rows(stored, predicate))
    checks.append(_patch(stored, predicate))
    checks.extend(await _parts(app, stored, predicate))
    checks.extend(await _trees(app, stored.task, predicate, clone))
    checks.extend(await _merged(app, stored, predicate, clone))
    return checks


def _chain(stored: StoredTask, predicate: Predicate) -> VerifyCheck:
    """The event chain is intact, contains the receipt's event, and the receipt's commit was the last one published."""
    chain = stored.chain
    broken = broken_link(chain)
    if broken:
        return _bad("events", broken, _MODIFIED)
    anchor = predicate["event"]
    if len(chain) < anchor["seq"] or chain[anchor["seq"] - 1].hash != anchor["hash"]:
        return _bad("events", "the receipt names an event that is not in the chain", "The history was rewritten.")
    published = [json.loads(e.body) for e in chain if e.kind == _PUBLISHED and e.seq > anchor["seq"]]
    if not published:
        return _bad("events", "no event records that the receipt's change was published", _MODIFIED)
    head = published[-1].get("head")
    if head != predicate["published"]["head"]:
        return _bad("events", f"{_short(head)} was published last, but its receipt is missing", _MODIFIED)
    return _ok("events", f"{len(chain)} events, the chain is intact, and the receipt names number {anchor['seq']}")


def _rows(stored: StoredTask, predicate: Predicate) -> VerifyCheck:
    """The task's rows agree with the receipt and with the events (security.md 156)."""
    revision = next((r for r in stored.revisions if r.n == predicate["task"]["revision"]), None)
    if revision is None or revision.staged is None:
        return _bad("rows", f"the receipt's revision {predicate['task']['revision']} is missing", _MODIFIED)
    rows = AuditRows(stored.task, revision, stored.turns, stored.approvals)
    contradicted = () if broken_link(stored.chain) else contradictions(rows, stored.chain)
    differences = [*_differences_from_receipt(rows, predicate), *contradicted]
    if differences:
        return _bad("rows", "; ".join(dict.fromkeys(differences)), _MODIFIED)
    return _ok("rows", "request, turns, approvals, guard and change are stored as they were signed")


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
        return _ok("patch", "staged by an older version, which did not record the diff's hash")
    if stored_sha256 != staged_sha256:
        return _bad("patch", "the stored diff is not the one made at staging", _MODIFIED)
    return _ok("patch", "the stored diff is the one made at staging")


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
        return _bad("approvals", f"{len(needs.have)} of {needs.count} approvals of {short}", "It was not approved.")
    return _ok("approvals", f"{short} countersigned by {', '.join(needs.have)} ({needs.count} needed)")


async def _trees(app: VerifySources, task: Task, predicate: Predicate, clone: Path | None) -> list[VerifyCheck]:
    """The published commit has the approved tree and parent, and git gives the approved digest."""
    checks: list[VerifyCheck] = []
    from lanes.repository.clone import Clone

    repository = Clone.at(app.repository(task.repo or ""), clone)
    head, staged = predicate["published"]["head"], predicate["staged"]
    where = str(clone) if clone else "the remote"
    tip = await repository.tip_of(predicate["published"]["branch"])
    checks.append(_branch(tip, predicate, task, where))
    tree = await _try(checks, "tree", lambda: repository.tree_at(head))
    if tree is None:
        return checks
    if tree != staged["tree"]:
        return [*checks, _bad("tree", f"{head[:12]} has tree {tree[:12]}, approved was {staged['tree'][:12]}", "")]
    parents = await repository.parents_of(head)
    if parents != (staged["base"],):
        return [*checks, _bad("tree", f"{head[:12]} is not on the approved base {staged['base'][:12]}", "")]
    checks.append(_ok("tree", f"commit {head[:12]} in {where} has exactly the approved tree {tree[:12]}"))
    change = await _try(checks, "digest", lambda: repository.change(staged["base"], tree))
    if change is not None:
        digest = stage(change, GuardReport(())).digest
        is_same = digest == staged["digest"]
        checks.append(
            _ok("digest", f"computed again from git: {short_digest(digest)}")
            if is_same
            else _bad("digest", f"git gives {short_digest(digest)}, approved was {short_digest(staged['digest'])}", "")
        )
    return checks


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
        return [_warned("merge", f"{where} does not exist here", "Name a clone with --repo-path.")] if merges else []
    if not merges:
        is_unrecorded = stored.task.state is not State.MERGED and await repository.reaches(head, tip)
        mend = "Merge with `countersign merge`, or run a server that notices merges made by hand."
        detail = f"{where} has {head[:12]}, but no event records a merge"
        return [_bad("merge", detail, mend)] if is_unrecorded else []
    commit = merges[-1].get("commit")
    if not commit or (not is_remote and not await repository.reaches(commit, commit)):
        detail = f"{where} does not have the merge {_short(commit)} yet" if commit else "the forge named no merge"
        return [_warned("merge", detail, "Fetch it first.")]
    if not await repository.reaches(commit, tip):
        return [_bad("merge", f"{where} no longer has the merge {commit[:12]}: it was reset", "The branch was moved.")]
    checks: list[VerifyCheck] = []
    difference = await _try(checks, "merge", lambda: repository.merge_problem(commit, head))
    if difference:
        checks.append(_bad("merge", difference, "The merge contains changes that were not approved."))
    elif not checks:
        checks.append(_ok("merge", f"{where} has the merge {commit[:12]}, of exactly the approved commit"))
    return checks


def _short(commit: object) -> str:
    return str(commit)[:12]


def _branch(tip: str | None, predicate: Predicate, task: Task, where: str) -> VerifyCheck:
    branch, head = predicate["published"]["branch"], predicate["published"]["head"]
    if tip == head:
        return _ok("branch", f"{branch} in {where} is at the approved commit {head[:12]}")
    if tip is None:
        state = task.pull_request.state if task.pull_request else "gone"
        return _warned("branch", f"{branch} no longer exists in {where} (the pull request is {state})", "")
    detail = f"{branch} in {where} is at {tip[:12]}, approved was {head[:12]}"
    return _bad("branch", detail, "The branch was moved.")


async def _try(checks: list[VerifyCheck], name: str, work: Callable[[], Any]) -> Any:
    """The result of `work`; an error becomes a failed check and None."""
    try:
        return await work()
    except CountersignError as error:
        checks.append(_fail(name, error))
        return None


def _ok(name: str, detail: str) -> VerifyCheck:
    return {"name": name, "verdict": "ok", "detail": detail, "mend": ""}


def _warned(name: str, detail: str, mend: str) -> VerifyCheck:
    return {"name": name, "verdict": "warn", "detail": detail, "mend": mend}


def _bad(name: str, detail: str, mend: str) -> VerifyCheck:
    return {"name": name, "verdict": "fail", "detail": detail, "mend": mend}


def _fail(name: str, error: CountersignError) -> VerifyCheck:
    return _bad(name, error.problem.message, str(error.problem.mend))
