"""A lane's checks: its own commands, run in its sandbox on what was made, and told back to who made it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from core.model.change import show_path
from core.model.errors import PermanentError, Problem, TransientError, WorkError
from core.model.lane import Lane, LaneCheck
from core.model.provenance import CheckResult, Provenance, summed
from core.ports import Executor, ExecutorResult, Repository, WorkOrder, reads_in
from lanes.executors.artifacts import adopted, files_beside, kept
from lanes.budget_pool import BudgetPool
from lanes.executors.workplace import Workplaces
from lanes.repository import as_git
from lanes.sandbox import Sandbox, SandboxLimits, SandboxResult, SandboxRun, sandbox_capability

_LAST_BYTES: Final = 6_000


class CheckRunner:
    """Runs checks, each on files of its own, so that none sees what another left. `files` keeps finished work's."""

    def __init__(self, scratch: Path, find: Callable[[str], Sandbox | Problem]) -> None:
        self._places = Workplaces(scratch)
        self.files = files_beside(scratch)
        self._find = find

    def unavailable(self, lane: Lane) -> Problem | None:
        """Why the lane's checks cannot run here; None where it has none."""
        found = self._find(lane.isolation.kind) if lane.checks else None
        return found if isinstance(found, Problem) else None

    def needs(self, lane: Lane) -> frozenset[str]:
        """What a node must have for the lane's checks."""
        return frozenset({sandbox_capability(lane.isolation.kind)} if lane.checks else ())

    async def run(
        self, lane: Lane, repository: Repository, tree: str, only: str | None = None
    ) -> tuple[tuple[CheckResult, ...], dict[str, bytes]]:
        """How the lane's checks came out on `tree`, or the one called `only`; and their logs by artifact name."""
        results: list[CheckResult] = []
        logs: dict[str, bytes] = {}
        for check in lane.checks:
            if only is None or check.name == only:
                result, log = await self._one(lane, check, repository, tree)
                results.append(result)
                logs[result.artifact] = log
        return tuple(results), logs

    async def _one(self, lane: Lane, check: LaneCheck, repository: Repository, tree: str) -> tuple[CheckResult, bytes]:
        sandbox = await asyncio.to_thread(self._find, lane.isolation.kind)
        if isinstance(sandbox, Problem):
            raise TransientError(sandbox.code, sandbox.message, sandbox.mend, retry_after_s=600)
        limits = replace(lane.limits, wall_s=check.wall_s or lane.limits.wall_s)
        async with self._places.open(as_git(repository), tree, sandbox) as place:
            run = SandboxRun(
                check.command,
                place.directory,
                SandboxLimits.from_lane_limits(limits),
                environment=dict(lane.environment),
                image=lane.isolation.image,
                lower=place.lower,
            )
            ran = await sandbox.run(run)
        artifact = f"check-{check.name}.log"
        return CheckResult(check.name, ran.exit_code == 0, check.required, _told(ran), artifact, ran.wall_s), ran.log


def _told(ran: SandboxResult) -> str:
    """How a check ended, in one line."""
    if ran.exit_code == 0:
        return f"passed in {ran.wall_s:.1f} s"
    if ran.limit_hit is not None:
        return f"stopped: it hit its limit of {ran.limit_hit}"
    lines = [line for line in ran.log.split(b"\n") if line.strip()]
    last = f": {show_path(lines[-1][-200:])}" if lines else ""
    return f"failed with {ran.exit_code}{last}"


@dataclass(frozen=True, slots=True)
class Checked:
    """An executor whose work the lane's checks judge.

    A failing check goes back to an executor that reads, with its log, at most `retries` times and while the budget
    lasts, which is one for all tries; the last result is told as it is.
    """

    inner: Executor
    checks: CheckRunner

    @property
    def name(self) -> str:
        """The inner executor's name."""
        return self.inner.name

    @property
    def reads(self) -> bool:
        """Whether the inner executor takes any wording."""
        return self.inner.reads

    def unavailable(self, lane: Lane) -> Problem | None:
        """Why the executor or the lane's checks cannot run here."""
        return self.inner.unavailable(lane) or self.checks.unavailable(lane)

    def needs(self, lane: Lane) -> frozenset[str]:
        """What both need."""
        return self.inner.needs(lane) | self.checks.needs(lane)

    async def produce(self, order: WorkOrder, repository: Repository) -> ExecutorResult:
        """What the inner executor made, with how the checks came out."""
        if not order.lane.checks or order.intent.needs_git_alone:
            return await self.inner.produce(order, repository)
        tries = 1 + (order.lane.retries if self.mends(order.lane) else 0)
        making, files, purse = Provenance(self.inner.name), dict[str, bytes](), BudgetPool(order)
        for n in range(1, tries + 1):
            try:
                made = await self._try(order, repository, n, purse)
            except PermanentError as error:
                if n == 1 or error.problem.code != "budget_spent":
                    raise
                files.update(error.artifacts if isinstance(error, WorkError) else {})
                break  # nothing is left to mend it with: what there is is shown
            making, files = _added(making, made.making, n), {**files, **made.artifacts}
            order = replace(order, start=made.tree, feedback=_feedback(made))
            if not order.feedback:
                break
        return ExecutorResult(order.start, files, making)

    def mends(self, lane: Lane) -> bool:
        """Whether the inner executor, or a part of it that the lane has, takes any wording."""
        return reads_in(self.inner, lane)

    async def _try(self, order: WorkOrder, repository: Repository, n: int, purse: BudgetPool) -> ExecutorResult:
        """One try with its checks; one that an earlier worker finished is taken from the journal, with its files."""
        part = f"try{n}"
        journal = order.journal.part(part)
        for entry in await journal.part("made").recall():
            if entry["start"] == order.start and await repository.has(entry["tree"]):
                making = Provenance.from_json(entry["making"])
                purse.adopt(part, making.usage)
                files, gone = await adopted(self.checks.files, entry.get("files", {}))
                await order.told(f"try {n} was finished by an earlier worker{gone}")
                return ExecutorResult(entry["tree"], files, making)
        async with purse.share(part) as budget:
            lane = replace(order.lane, budget=budget)
            own = replace(order, lane=lane, journal=journal, charge=purse.of(part))
            made = await self.inner.produce(own, repository)
        if made.tree == order.start and not order.feedback:
            return made  # nothing changed, so there is nothing to check
        await order.told(f"checking: {', '.join(check.name for check in order.lane.checks)}")
        results, logs = await self.checks.run(order.lane, repository, made.tree)
        making = replace(made.making, executor=self.inner.name, checks=_latest((*made.making.checks, *results)))
        files = {**made.artifacts, **logs}
        said = {"start": order.start, "tree": made.tree, "making": making.to_json()}
        await journal.part("made").add({**said, "files": await kept(self.checks.files, files)})
        return ExecutorResult(made.tree, files, making)


def _added(before: Provenance, made: Provenance, tries: int) -> Provenance:
    """Both together: the words of the later, every check as it last came out, the sum of what was spent."""
    words, checks = made.words or before.words, _latest((*before.checks, *made.checks))
    usage = summed((*before.usage, *made.usage))
    return replace(made, words=words, usage=usage, checks=checks, tries=max(tries, made.tries))


def _latest(results: Sequence[CheckResult]) -> tuple[CheckResult, ...]:
    """Every check as it came out last, for it judged the later tree."""
    return tuple({result.name: result for result in results}.values())


def _feedback(made: ExecutorResult) -> str:
    """What the failing checks said, for who is to mend it; empty when all passed."""
    said = []
    for check in made.making.checks:
        if not check.passed:
            log = made.artifacts.get(check.artifact, b"")[-_LAST_BYTES:].decode("utf-8", "replace")
            said.append(f"The check {check.name} {check.detail}.\n{log}".rstrip())
    return "\n\n".join(said)


def checked(executors: Mapping[str, Executor], checks: CheckRunner) -> dict[str, Executor]:
    """Every executor, judged by the checks of the lane it works in."""
    return {name: Checked(executor, checks) for name, executor in executors.items()}
