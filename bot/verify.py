"""Verification: is what stands published what was countersigned? Offline, from the home and a clone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import receipt
from core.approval import Verdict
from core.errors import CountersignError, NotFoundError
from core.signing import Keys
from core.staged_diff import GuardReport, stage
from core.store import artifacts, events, tasks
from core.store.artifacts import Artifact, ArtifactFiles
from core.store.database import Session
from core.store.events import Event
from core.task import Task

if TYPE_CHECKING:
    from bot.app import App

Check = dict[str, Any]
Predicate = dict[str, Any]


async def verify_task(app: App, number: int, clone: Path | None) -> list[Check]:
    """Every check on the newest receipt of a task, each with its verdict; raises when there is no receipt."""

    async def read(session: Session) -> tuple[Task, tuple[Artifact, ...], list[Event]]:
        task = await tasks.load(session, number)
        return task, await artifacts.of_task(session, number), await events.chain_of(session, number)

    task, kept, chain = await app.database.read(read)
    receipts = [artifact for artifact in kept if artifact.name == receipt.ARTIFACT]
    if not receipts:
        raise NotFoundError("no_receipt", f"#{number} was never published, so it has no receipt", "Approve it first.")
    checks: list[Check] = []
    signed = await _try(checks, "receipt", lambda: ArtifactFiles(app.home.artifacts).read(receipts[-1].sha256))
    if signed is None:
        return checks
    try:
        said = receipt.read(Keys(app.home.keys), signed)
        checks.append(_ok("signature", f"the receipt is signed by this home's key ({len(signed)} bytes)"))
    except CountersignError as error:
        return [*checks, _fail("signature", error)]
    checks.append(_chain(chain, said))
    checks.append(_approvals(said))
    checks.extend(await _trees(app, task, said, clone))
    return checks


def _chain(chain: list[Event], said: Predicate) -> Check:
    broken = events.broken_link(chain)
    if broken:
        return _bad("events", broken, "Somebody wrote into the database past Countersign.")
    tie = said["event"]
    if len(chain) < tie["seq"] or chain[tie["seq"] - 1].hash != tie["hash"]:
        return _bad("events", "the receipt names an event that is not in the chain", "The history was rewritten.")
    return _ok("events", f"{len(chain)} events, every link holds, and the receipt names number {tie['seq']}")


def _approvals(said: Predicate) -> Check:
    """The quorum of the receipt's own terms, by people other than its authors, on the receipt's own digest."""
    terms, digest = said["decision"]["terms"], said["staged"]["digest"]
    authors = set() if terms["self_approve"] else set(said["authors"])
    who = {
        a["person"]
        for a in said["approvals"]
        if a["verdict"] == Verdict.APPROVE.value and a["digest"] == digest and a["person"] not in authors
    }
    if len(who) < terms["count"]:
        return _bad("approvals", f"{len(who)} of {terms['count']} approvals of {digest[:12]}", "It was not approved.")
    return _ok("approvals", f"{digest[:12]} countersigned by {', '.join(sorted(who))} ({terms['count']} needed)")


async def _trees(app: App, task: Task, said: Predicate, clone: Path | None) -> list[Check]:
    """The published commit's tree, its parent, and the digest computed again from git."""
    checks: list[Check] = []
    from lanes.repository.clone import Clone

    repository = Clone.at(app.repository(task.repo or ""), clone)
    head, staged = said["published"]["head"], said["staged"]
    where = str(clone) if clone else "the remote"
    tip = await repository.tip_of(said["published"]["branch"])
    checks.append(_branch(tip, said, task, where))
    tree = await _try(checks, "tree", lambda: repository.tree_at(head))
    if tree is None:
        return checks
    if tree != staged["tree"]:
        return [*checks, _bad("tree", f"{head[:12]} has tree {tree[:12]}, approved was {staged['tree'][:12]}", "")]
    checks.append(_ok("tree", f"commit {head[:12]} in {where} has exactly the approved tree {tree[:12]}"))
    change = await _try(checks, "digest", lambda: repository.change(staged["base"], tree))
    if change is not None:
        again = stage(change, GuardReport(())).digest
        same = again == staged["digest"]
        checks.append(
            _ok("digest", f"computed again from git: {again[:12]}")
            if same
            else _bad("digest", f"git gives {again[:12]}, approved was {staged['digest'][:12]}", "")
        )
    return checks


def _branch(tip: str | None, said: Predicate, task: Task, where: str) -> Check:
    branch, head = said["published"]["branch"], said["published"]["head"]
    if tip == head:
        return _ok("branch", f"{branch} in {where} is at the countersigned commit {head[:12]}")
    if tip is None:
        state = task.pull_request.state if task.pull_request else "gone"
        return {
            "name": "branch",
            "verdict": "warn",
            "detail": f"{branch} is not in {where} any more (the pull request is {state})",
            "mend": "",
        }
    return _bad("branch", f"{branch} in {where} is at {tip[:12]}, countersigned was {head[:12]}", "Somebody moved it.")


async def _try(checks: list[Check], name: str, work: Callable[[], Any]) -> Any:
    """The result of `work`; a fault becomes a failed check and None."""
    try:
        return await work()
    except CountersignError as error:
        checks.append(_fail(name, error))
        return None


def _ok(name: str, detail: str) -> Check:
    return {"name": name, "verdict": "ok", "detail": detail, "mend": ""}


def _bad(name: str, detail: str, mend: str) -> Check:
    return {"name": name, "verdict": "fail", "detail": detail, "mend": mend}


def _fail(name: str, error: CountersignError) -> Check:
    return _bad(name, error.problem.message, str(error.problem.mend))
