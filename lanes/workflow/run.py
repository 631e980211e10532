"""The `workflow` executor: runs a lane's steps with the other executors, in parallel where their order allows it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from core.model.errors import CountersignError, Kind, PermanentError, Problem, WorkError
from core.model.lane import Lane
from core.model.model_lease import current_work, working_for
from core.model.provenance import CheckResult, Provenance, summed
from core.model.step_time import StepEnd, StepTime
from core.model.workflow import APPROVAL, CHECK, REVERT, WORKFLOW, WorkflowStep, values_of
from core.ports.executor import Executor, ExecutorResult, WorkOrder
from core.ports.repository import Repository
from lanes.budget_pool import BudgetPool
from lanes.executors.checks import CheckRunner
from lanes.executors.names import STEPS, unknown_executor_message
from lanes.executors.pick import kept_tree
from lanes.repository import as_git
from lanes.workflow import condition
from lanes.workflow.cache import StepCache
from lanes.workflow.fill import ReadSentence
from lanes.workflow.merge import Changes, changes_of, merge_changes, predecessors
from lanes.workflow.plan import ordered
from lanes.workflow.step import StepResult, StepRunner, filled_lane, step_lane, with_step_prefix

MAX_PARALLEL_STEPS: Final = 4
"""How many steps of one workflow run in parallel."""

STEPS_LOG: Final = "steps.log"


@dataclass(frozen=True, slots=True)
class WorkflowExecutor:
    """Runs each step with the executor that it names; an order's steps reach up to the next approval."""

    executors: Mapping[str, Executor]
    checks: CheckRunner
    read: ReadSentence
    cache: StepCache
    name: str = WORKFLOW
    reads: bool = False
    deterministic: bool = False

    def unavailable(self, lane: Lane) -> Problem | None:
        """Why one of the lane's steps cannot run on this node."""
        for step in lane.steps:
            if step.run in (APPROVAL, REVERT):
                continue
            own = step_lane(lane, step)
            if step.run == CHECK:
                problem = self.checks.unavailable(own)
            elif step.run in self.executors:
                problem = self.executors[step.run].unavailable(own)
            else:
                mend = "Name one of these in the lane's file, or enable its plugin: docs/lanes.md."
                message = f"The step {step.name}: {unknown_executor_message(step.run, {*self.executors, *STEPS})}"
                problem = Problem(Kind.UNAVAILABLE, "no_executor", message, mend)
            if problem is not None:
                return problem
        return None

    def needs(self, lane: Lane) -> frozenset[str]:
        """The capabilities that any of the lane's steps needs, before an approval or after."""
        capabilities = frozenset(lane.needs)
        for step in lane.steps:
            own = step_lane(lane, step)
            if step.run == CHECK:
                capabilities |= self.checks.needs(own)
            elif step.run in self.executors:
                capabilities |= self.executors[step.run].needs(own)
        return capabilities

    async def produce(self, order: WorkOrder, repository: Repository) -> ExecutorResult:
        """The combined tree of all steps; raises `PermanentError` that names the step that failed."""
        lane = order.lane
        values = values_of(lane.name, lane.parameters, order.parameters)
        if order.intent.keeps_parts:
            return await self._checked_part(order, repository, values)
        steps, mending = self._steps_to_rerun(lane.steps, values) if order.feedback else (lane.steps, "")
        pool = await BudgetPool.open(order, lambda name: run.beside(name))  # noqa: PLW0108 - the run needs the pool first
        runner = StepRunner(
            self.executors, self.checks, self.read, self.cache, order, repository, values, pool, mending
        )
        run = _WorkflowRun(runner, steps, {step.name for step in self._model_steps(steps, values)})
        try:
            async with asyncio.timeout(lane.limits.wall_s):
                return await run.run()
        except TimeoutError as error:
            running = ", ".join(run.running) or "none"
            raise PermanentError(
                "timed_out",
                f"The steps of lane {lane.name} did not finish within {lane.limits.wall_s} s; running: {running}",
                "Raise `wall_s` in the lane's limits, or ask for a smaller change.",
            ) from error
        except BaseExceptionGroup as group:
            raise _first_error(group) from group

    async def _checked_part(
        self, order: WorkOrder, repository: Repository, values: Mapping[str, str]
    ) -> ExecutorResult:
        """The parts that a person kept, judged by every step that only checks; a failing one blocks them."""
        tree, files, results = await kept_tree(order, repository), dict[str, bytes](), list[CheckResult]()
        for step in order.lane.steps:
            if step.run != CHECK or not condition.parse(step.when).holds(values):
                continue
            await order.progress(f"step {step.name}")
            judged, logs = await self.checks.run(filled_lane(order.lane, step, values), repository, tree)
            checked = with_step_prefix(step.name, ExecutorResult(tree, logs, Provenance(checks=judged)))
            results.extend(checked.provenance.checks)
            files.update(checked.artifacts)
        return ExecutorResult(tree, files, Provenance(checks=tuple(results)))

    def can_repair(self, lane: Lane) -> bool:
        """True if a step of the lane takes free text, so that it can react to a failing check."""
        return any(map(self._takes_text, lane.steps))

    def _takes_text(self, step: WorkflowStep) -> bool:
        return step.run in self.executors and self.executors[step.run].reads

    def _model_steps(self, steps: Sequence[WorkflowStep], values: Mapping[str, str]) -> list[WorkflowStep]:
        return [step for step in steps if self._takes_text(step) and condition.parse(step.when).holds(values)]

    def _steps_to_rerun(
        self, steps: Sequence[WorkflowStep], values: Mapping[str, str]
    ) -> tuple[tuple[WorkflowStep, ...], str]:
        """The steps to rerun after a failing check: the last that takes free text (named) and its followers."""
        model_steps = self._model_steps(ordered(steps), values)
        if not model_steps:
            return (), ""
        last, earlier = model_steps[-1].name, predecessors(steps)
        return tuple(step for step in steps if step.name == last or last in earlier[step.name]), last


class _WorkflowRun:
    """One run of steps; each starts when all it needs are done. `asking` are those that may ask models."""

    def __init__(self, runner: StepRunner, steps: Sequence[WorkflowStep], asking: set[str]) -> None:
        self._runner, self._order = runner, runner.order
        self._steps = {step.name: step for step in steps}
        self._predecessors = predecessors(self._steps.values())
        self._asking = asking
        self._results: dict[str, StepResult] = {}
        self._changes: dict[str, Changes] = {}
        self._slots = asyncio.Semaphore(MAX_PARALLEL_STEPS)
        self.running: list[str] = []

    async def run(self) -> ExecutorResult:
        """Run every step and combine the results."""
        tasks: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            for step in self._steps.values():
                tasks[step.name] = group.create_task(self._run_step(step, tasks))
        tree = await self._combined_tree(frozenset(self._steps))
        files = {name: content for result in self._results.values() for name, content in result.artifacts.items()}
        files[STEPS_LOG] = "".join(f"{name}: {self._results[name].note}\n" for name in self._steps).encode()
        return ExecutorResult(tree, files, _combined_provenance([self._results[name] for name in self._steps]))

    def beside(self, name: str) -> int:
        """The number of other steps that may still ask models while this one does."""
        self._asking.discard(name)
        rest = self._asking - self._results.keys() - self._predecessors[name]
        return min(sum(name not in self._predecessors[other] for other in rest), MAX_PARALLEL_STEPS - 1)

    async def _run_step(self, step: WorkflowStep, tasks: Mapping[str, asyncio.Task[None]]) -> None:
        for need in step.needs:
            if need in tasks:  # the others are done and approved
                await tasks[need]
        started_ms = _monotonic_ms()
        start = await self._combined_tree(self._predecessors[step.name])
        if not condition.parse(step.when).holds(self._runner.values):
            self._results[step.name] = StepResult(start, note=f"skipped: the condition {step.when} is false")
            self._changes[step.name] = {}
            await self._report(step, StepEnd.SKIPPED, started_ms)
            return
        async with self._slots:
            started_ms = _monotonic_ms()
            self.running.append(step.name)
            try:
                with working_for(replace(current_work(), part=step.name)):  # its models are leased beside the others'
                    result = await self._runner.run(step, start)
            except CountersignError as error:
                await self._report(step, StepEnd.FAILED, started_ms)
                raise _with_step_name(step, error) from error
        self._changes[step.name] = await self._changes_between(start, result.tree)
        self._results[step.name] = result
        self.running.remove(step.name)
        await self._report(step, StepEnd.REUSED if result.is_reused else StepEnd.RAN, started_ms)

    async def _report(self, step: WorkflowStep, how: StepEnd, started_ms: int) -> None:
        needs = tuple(name for name in step.needs if name in self._steps)
        position = list(self._steps).index(step.name)
        await self._order.steps.report(position, StepTime(step.name, needs, how, started_ms, _monotonic_ms()))

    async def _changes_between(self, start: str, tree: str) -> Changes:
        """The changes between a step's start and its result."""
        return {} if start == tree else changes_of(await self._runner.repository.change(start, tree))

    async def _combined_tree(self, names: frozenset[str]) -> str:
        """The combined tree of these steps; they and all that precede them must be done."""
        last_steps = [name for name in names if not any(name in self._predecessors[other] for other in names)]
        if not last_steps:
            return self._order.start
        if len(last_steps) == 1:
            return self._results[last_steps[0]].tree
        entries = merge_changes(
            {name: self._changes[name] for name in self._steps if name in names}, self._predecessors
        )
        git = as_git(self._runner.repository)
        writes, modes, deletes = {}, {}, []
        for raw, entry in entries.items():
            path = raw.decode("utf-8", "surrogateescape")
            if entry.blob is None:
                deletes.append(path)
            else:
                writes[path], modes[path] = await git.read_blob(entry.blob), entry.mode
        return await git.write_tree(self._order.start, writes, deletes, modes)


def _monotonic_ms() -> int:
    return round(time.monotonic() * 1000)


def _combined_provenance(results: list[StepResult]) -> Provenance:
    """The provenance of the whole run: the messages and checks of all steps, and the sum of usage."""
    spent = summed(usage for result in results for usage in result.provenance.usage)
    words = " ".join(result.provenance.words for result in results if result.provenance.words)
    checks = tuple(check for result in results for check in result.provenance.checks)
    tries = max((result.provenance.tries for result in results), default=1)
    refused = next((result.provenance.refused for result in results if result.provenance.refused), "")
    return Provenance(WORKFLOW, words, spent, checks, tries, refused=refused)


def _with_step_name(step: WorkflowStep, error: CountersignError) -> CountersignError:
    """The error with its step's name in the message; code, kind and artifacts stay."""
    problem = error.problem
    error.problem = replace(problem, message=f"step {step.name}: {problem.message}")
    if isinstance(error, WorkError):
        error.artifacts = {f"{step.name}.{name}": content for name, content in error.artifacts.items()}
    return error


def _first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error; later ones result from cancelling the other steps."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
