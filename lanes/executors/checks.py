"""Runs a lane's checks in its sandbox on a changed tree, and returns failures to the executor for another attempt."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from core.model.change import show_path
from core.model.errors import PermanentError, Problem, TransientError, WorkError
from core.model.lane import Lane, LaneCheck
from core.model.provenance import CheckResult, Provenance, summed
from core.model.stored import StoredObject
from core.ports.executor import Executor, ExecutorResult, WorkOrder, reads_in
from core.ports.reporting import IgnoredOutput, OutputReporter
from core.ports.repository import Repository
from lanes.budget_pool import BudgetPool
from lanes.executors.artifacts import artifact_files, load_artifacts, store_artifacts
from lanes.executors.workplace import Workplaces
from lanes.repository import as_git
from lanes.sandbox import Sandbox, SandboxLimits, SandboxResult, SandboxRun, sandbox_capability

_FEEDBACK_BYTES: Final = 6_000
_IGNORED: Final = IgnoredOutput()
_VERSION: Final = 1
"""Of its entries in a journal."""


class CheckRunner:
    """Runs checks, each on its own copy of the files; `files` stores the artifacts of finished work."""

    def __init__(self, scratch: Path, find_sandbox: Callable[[str], Sandbox | Problem]) -> None:
        self._workplaces = Workplaces(scratch)
        self.artifact_files = artifact_files(scratch)
        self._find_sandbox = find_sandbox

    def unavailable(self, lane: Lane) -> Problem | None:
        """Why the lane's checks cannot run on this node; None when they can or there are none."""
        sandbox = self._find_sandbox(lane.isolation.kind) if lane.checks else None
        return sandbox if isinstance(sandbox, Problem) else None

    def needs(self, lane: Lane) -> frozenset[str]:
        """The capabilities that a node needs for the lane's checks."""
        return frozenset({sandbox_capability(lane.isolation.kind)} if lane.checks else ())

    async def run(
        self,
        lane: Lane,
        repository: Repository,
        tree: str,
        only: str | None = None,
        output: OutputReporter = _IGNORED,
    ) -> tuple[tuple[CheckResult, ...], dict[str, bytes]]:
        """Run the lane's checks on `tree`, or only the one called `only`; returns results, and logs by name."""
        results: list[CheckResult] = []
        logs: dict[str, bytes] = {}
        for check in lane.checks:
            if only is None or check.name == only:
                result, log = await self._run_check(lane, check, repository, tree, output)
                results.append(result)
                logs[result.artifact] = log
        return tuple(results), logs

    async def _run_check(
        self, lane: Lane, check: LaneCheck, repository: Repository, tree: str, output: OutputReporter
    ) -> tuple[CheckResult, bytes]:
        sandbox = await asyncio.to_thread(self._find_sandbox, lane.isolation.kind)
        if isinstance(sandbox, Problem):
            raise TransientError(sandbox.code, sandbox.message, sandbox.mend, retry_after_s=600)
        limits = replace(lane.limits, wall_s=check.wall_s or lane.limits.wall_s)
        artifact = f"check-{check.name}.log"
        async with self._workplaces.open(as_git(repository), tree, sandbox) as workplace:
            run = SandboxRun(
                check.command,
                workplace.directory,
                SandboxLimits.from_lane_limits(limits),
                environment=dict(lane.environment),
                image=lane.isolation.image,
                lower=workplace.lower,
                on_output=lambda chunk: output.add(artifact, chunk),
            )
            result = await sandbox.run(run)
        return CheckResult(
            check.name, result.exit_code == 0, check.required, _detail(result), artifact, result.wall_s
        ), result.log


def _detail(result: SandboxResult) -> str:
    """The result of a check in one line."""
    if result.exit_code == 0:
        return f"passed in {result.wall_s:.1f} s"
    if result.limit_hit is not None:
        return f"stopped at its {result.limit_hit} limit"
    lines = [line for line in result.log.split(b"\n") if line.strip()]
    last = f": {show_path(lines[-1][-200:])}" if lines else ""
    return f"failed with {result.exit_code}{last}"


@dataclass(frozen=True, slots=True)
class CheckedExecutor:
    """An executor whose results are checked by the lane's checks.

    If a check fails and the executor takes instructions, it gets another attempt with the check's log, at most
    `retries` times within one budget. The last result is returned with its check results, passed or not.
    """

    inner: Executor
    checks: CheckRunner

    @property
    def name(self) -> str:
        """The inner executor's name."""
        return self.inner.name

    @property
    def reads(self) -> bool:
        """True if the inner executor takes free text."""
        return self.inner.reads

    @property
    def deterministic(self) -> bool:
        """True if the inner executor makes known edits and nothing else; a plugin's executor need not say so."""
        return bool(getattr(self.inner, "deterministic", False))

    def unavailable(self, lane: Lane) -> Problem | None:
        """Why the executor or the lane's checks cannot run on this node."""
        return self.inner.unavailable(lane) or self.checks.unavailable(lane)

    def needs(self, lane: Lane) -> frozenset[str]:
        """The capabilities that the executor and the checks need."""
        return self.inner.needs(lane) | self.checks.needs(lane)

    async def produce(self, order: WorkOrder, repository: Repository) -> ExecutorResult:
        """The inner executor's result with its check results."""
        if order.intent.keeps_parts:
            return await self._checked_part(order, repository)
        if not order.lane.checks or order.intent.needs_git_alone:
            return await self.inner.produce(order, repository)
        attempts = 1 + (order.lane.retries if self.can_repair(order.lane) else 0)
        provenance, files, pool = Provenance(self.inner.name), dict[str, bytes](), await BudgetPool.open(order)
        for n in range(1, attempts + 1):
            try:
                result = await self._attempt(order, repository, n, pool)
            except PermanentError as error:
                if n == 1 or error.problem.code != "budget_spent":
                    raise
                files.update(error.artifacts if isinstance(error, WorkError) else {})
                break  # the budget is spent: return the last result
            provenance, files = _combined(provenance, result.provenance, n), {**files, **result.artifacts}
            order = replace(order, start=result.tree, feedback=_feedback(result))
            if not order.feedback:
                break
        return ExecutorResult(order.start, files, provenance)

    async def _checked_part(self, order: WorkOrder, repository: Repository) -> ExecutorResult:
        """The parts that a person kept, with check results of their own; no one is asked to repair them."""
        result = await self.inner.produce(order, repository)
        if not order.lane.checks:
            return result
        await order.progress(f"checking: {', '.join(check.name for check in order.lane.checks)}")
        results, logs = await self.checks.run(order.lane, repository, result.tree)
        checks = _latest((*result.provenance.checks, *results))
        return ExecutorResult(result.tree, {**result.artifacts, **logs}, replace(result.provenance, checks=checks))

    def can_repair(self, lane: Lane) -> bool:
        """True if the inner executor, or a part of it that the lane uses, takes free text."""
        return reads_in(self.inner, lane)

    async def _attempt(self, order: WorkOrder, repository: Repository, n: int, pool: BudgetPool) -> ExecutorResult:
        """One attempt with its checks; if an earlier worker finished it, its result comes from the journal."""
        part = f"try{n}"
        journal = order.journal.part(part)
        for value in await journal.part("made").recall():
            entry = StoredObject(value, "a finished try", newest=_VERSION)
            if entry["start"] == order.start and await repository.has(entry["tree"]):
                provenance = Provenance.from_json(entry["making"])
                files, missing_note = await load_artifacts(self.checks.artifact_files, entry.get("files", {}))
                await order.progress(f"attempt {n} was finished by an earlier worker{missing_note}")
                return ExecutorResult(entry["tree"], files, provenance)
        async with pool.share(part) as budget:
            lane = replace(order.lane, budget=budget)
            own_order = replace(order, lane=lane, journal=journal, usage=pool.reporter(part))
            result = await self.inner.produce(own_order, repository)
        if result.tree == order.start and not order.feedback:
            return result  # nothing changed, so nothing to check
        await order.progress(f"checking: {', '.join(check.name for check in order.lane.checks)}")
        results, logs = await self.checks.run(order.lane, repository, result.tree, output=order.output)
        checks = _latest((*result.provenance.checks, *results))
        provenance = replace(result.provenance, executor=self.inner.name, checks=checks)
        files = {**result.artifacts, **logs}
        journaled = {"v": _VERSION, "start": order.start, "tree": result.tree, "making": provenance.to_json()}
        await journal.part("made").add({**journaled, "files": await store_artifacts(self.checks.artifact_files, files)})
        return ExecutorResult(result.tree, files, provenance)


def _combined(earlier: Provenance, later: Provenance, attempts: int) -> Provenance:
    """Both combined: the later message, the latest result of every check, and the sum of usage."""
    words, checks = later.words or earlier.words, _latest((*earlier.checks, *later.checks))
    usage = summed((*earlier.usage, *later.usage))
    return replace(later, words=words, usage=usage, checks=checks, tries=max(attempts, later.tries))


def _latest(results: Sequence[CheckResult]) -> tuple[CheckResult, ...]:
    """The latest result of every check, which judged the latest tree."""
    return tuple({result.name: result for result in results}.values())


def _feedback(result: ExecutorResult) -> str:
    """The logs of the failing checks, for the next attempt; empty when all passed."""
    reports = []
    for check in result.provenance.checks:
        if not check.passed:
            log = result.artifacts.get(check.artifact, b"")[-_FEEDBACK_BYTES:].decode("utf-8", "replace")
            reports.append(f"The check {check.name} {check.detail}.\n{log}".rstrip())
    return "\n\n".join(reports)
