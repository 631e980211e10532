"""Verification: is what stands published what was countersigned? Offline, from the home and a clone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.model.decision import ApprovalRequirements
from core.model.errors import CountersignError, NotFoundError
from core.model.event import broken_link
from core.model.lifecycle import State
from core.model.staged_diff import GuardReport, short_digest, stage
from core.model.task import Task
from core.rules import receipt
from core.rules.audit import AuditRows, contradictions
from core.rules.quorum import signed_quorum
from core.services.home_checks import StoredTask
from core.signing import Keys

if TYPE_CHECKING:
    from bot.wiring.app import App

VerifyCheck = dict[str, Any]
Predicate = dict[str, Any]
_PAST_US = "The database was modified outside Countersign."
_PUBLISHED = "task.published"


async def verify_task(app: App, number: int, clone: Path | None) -> list[VerifyCheck]:
    """Every check on the newest receipt of a task, each with its verdict; raises when there is no receipt."""
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
    checks.append(_rows(stored, predicate))
    checks.append(_shown(stored, predicate))
    checks.extend(await _trees(app, stored.task, predicate, clone))
    checks.extend(await _merged(app, stored, predicate, clone))
    return checks


def _chain(stored: StoredTask, predicate: Predicate) -> VerifyCheck:
    """Every link holds, the receipt is tied to it, and what it tells of was published after it, and nothing since."""
    chain = stored.chain
    broken = broken_link(chain)
    if broken:
        return _bad("events", broken, _PAST_US)
    tie = predicate["event"]
    if len(chain) < tie["seq"] or chain[tie["seq"] - 1].hash != tie["hash"]:
        return _bad("events", "the receipt names an event that is not in the chain", "The history was rewritten.")
    published = [json.loads(e.body) for e in chain if e.kind == _PUBLISHED and e.seq > tie["seq"]]
    if not published:
        return _bad("events", "no event says that what the receipt tells of was published", _PAST_US)
    head = published[-1].get("head")
    if head != predicate["published"]["head"]:
        return _bad("events", f"{_short(head)} was published last, and its receipt is missing", _PAST_US)
    return _ok("events", f"{len(chain)} events, every link holds, and the receipt names number {tie['seq']}")


def _rows(stored: StoredTask, predicate: Predicate) -> VerifyCheck:
    """What the database holds of the task is what the receipt says and what the events say (security.md 156)."""
    revision = next((r for r in stored.revisions if r.n == predicate["task"]["revision"]), None)
    if revision is None or revision.staged is None:
        return _bad("rows", f"revision {predicate['task']['revision']}, which the receipt is about, is gone", _PAST_US)
    rows = AuditRows(stored.task, revision, stored.turns, stored.approvals)
    contradicted = () if broken_link(stored.chain) else contradictions(rows, stored.chain)
    wrong = [*_unlike_receipt(rows, predicate), *contradicted]
    if wrong:
        return _bad("rows", "; ".join(dict.fromkeys(wrong)), _PAST_US)
    return _ok("rows", "request, turns, approvals, guard and change are stored as they were signed")


def _unlike_receipt(rows: AuditRows, predicate: Predicate) -> Iterator[str]:
    """What is stored otherwise than it was signed."""
    task, revision, decision = rows.task, rows.revision, predicate["decision"]
    assert revision.staged is not None
    stored = revision.staged.to_json()
    if (task.number, task.id) != (predicate["task"]["number"], predicate["task"]["id"]):
        yield "the receipt is another task's"
    if task.requester != predicate["requester"]:
        yield f"the task says that {task.requester} asked, the receipt says {predicate['requester']}"
    if not set(predicate["authors"]) <= task.authors_of(revision):
        yield "the authors are not those of the receipt"
    if [turn.to_json() for turn in rows.turns][: len(predicate["turns"])] != predicate["turns"]:
        yield "the turns are not those of the receipt"
    if [approval.to_json() for approval in rows.counted] != predicate["approvals"]:
        yield "the approvals are not those of the receipt"
    if stored["guard"] != predicate["staged"]["guard"]:
        yield "the guard's report is not the receipt's"
    if {**stored, "guard": None} != {**predicate["staged"], "guard": None}:
        yield "the staged change is not the receipt's"
    decided = (revision.lane, revision.rule, revision.reason, revision.policy_digest)
    signed = tuple(decision[key] for key in ("lane", "rule", "reason", "policy_digest"))
    if decided != signed or revision.requirements != ApprovalRequirements.from_json(decision["terms"]):
        yield "the decision is not the receipt's"
    opened = task.pull_request
    if opened is None or (opened.branch, opened.head, opened.digest) != (
        predicate["published"]["branch"],
        predicate["published"]["head"],
        predicate["staged"]["digest"],
    ):
        yield "the pull request is not the receipt's"


def _shown(stored: StoredTask, predicate: Predicate) -> VerifyCheck:
    """The diff kept with the revision is the one that was made when it was staged."""
    n = predicate["task"]["revision"]
    bodies = [json.loads(e.body) for e in stored.chain if e.kind == "task.staged"]
    wanted = next((b["patch_sha256"] for b in bodies if b.get("revision") == n and "patch_sha256" in b), None)
    kept = next((a.sha256 for a in stored.artifacts if a.name == "change.patch" and a.revision == n), None)
    if wanted is None:
        return _ok("patch", "what an older version staged does not say which diff was kept with it")
    if kept != wanted:
        return _bad("patch", "the diff kept with the revision is another one than was made of it", _PAST_US)
    return _ok("patch", "the diff kept with the revision is the one that was made of it")


def _approvals(predicate: Predicate) -> VerifyCheck:
    """The quorum of the receipt's own terms, by people other than its authors, on the receipt's own digest."""
    needs, short = signed_quorum(predicate), short_digest(predicate["staged"]["digest"])
    if not needs.met:
        return _bad("approvals", f"{len(needs.have)} of {needs.count} approvals of {short}", "It was not approved.")
    return _ok("approvals", f"{short} countersigned by {', '.join(needs.have)} ({needs.count} needed)")


async def _trees(app: App, task: Task, predicate: Predicate, clone: Path | None) -> list[VerifyCheck]:
    """The published commit's tree, its parent, and the digest computed again from git."""
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
        again = stage(change, GuardReport(())).digest
        same = again == staged["digest"]
        checks.append(
            _ok("digest", f"computed again from git: {short_digest(again)}")
            if same
            else _bad("digest", f"git gives {short_digest(again)}, approved was {short_digest(staged['digest'])}", "")
        )
    return checks


async def _merged(app: App, stored: StoredTask, predicate: Predicate, clone: Path | None) -> list[VerifyCheck]:
    """What became of the pull request in the branch that it was for: merged as the events say, or not at all."""
    from lanes.repository import as_git
    from lanes.repository.clone import Clone

    ours = app.repository(stored.task.repo or "")
    name, head = ours.spec.branch, predicate["published"]["head"]
    repository = Clone.at(ours, clone)
    is_remote = clone is None and as_git(ours).remote.address.path is not None
    where = f"{name} in {clone or 'the remote'}"
    tip = await repository.tip_of(name)
    merges = [json.loads(e.body) for e in stored.chain if e.kind == "task.merged"]
    if tip is None:
        return [_warned("merge", f"{where} is not here", "Name a clone with --repo-path.")] if merges else []
    if not merges:
        unsaid = stored.task.state is not State.MERGED and await repository.reaches(head, tip)
        mend = "Merge with `countersign merge`, or let a running server see what was done by hand."
        return [_bad("merge", f"{where} has {head[:12]}, and no event says that it was merged", mend)] if unsaid else []
    commit = merges[-1].get("commit")
    if not commit or (not is_remote and not await repository.reaches(commit, commit)):
        detail = f"{where} does not have the merge {_short(commit)} yet" if commit else "the forge named no merge"
        return [_warned("merge", detail, "Fetch it first.")]
    if not await repository.reaches(commit, tip):
        return [_bad("merge", f"{where} no longer has the merge {commit[:12]}: it was reset", "Somebody moved it.")]
    checks: list[VerifyCheck] = []
    wrong = await _try(checks, "merge", lambda: repository.merge_problem(commit, head))
    if wrong:
        checks.append(_bad("merge", wrong, "The merge brought in what nobody countersigned."))
    elif not checks:
        checks.append(_ok("merge", f"{where} has the merge {commit[:12]}, of exactly what was countersigned"))
    return checks


def _short(commit: object) -> str:
    return str(commit)[:12]


def _branch(tip: str | None, predicate: Predicate, task: Task, where: str) -> VerifyCheck:
    branch, head = predicate["published"]["branch"], predicate["published"]["head"]
    if tip == head:
        return _ok("branch", f"{branch} in {where} is at the countersigned commit {head[:12]}")
    if tip is None:
        state = task.pull_request.state if task.pull_request else "gone"
        return _warned("branch", f"{branch} is not in {where} any more (the pull request is {state})", "")
    return _bad("branch", f"{branch} in {where} is at {tip[:12]}, countersigned was {head[:12]}", "Somebody moved it.")


async def _try(checks: list[VerifyCheck], name: str, work: Callable[[], Any]) -> Any:
    """The result of `work`; a fault becomes a failed check and None."""
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
