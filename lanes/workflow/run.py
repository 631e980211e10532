"""The `workflow` executor: runs a lane's steps with the other executors, side by side where nothing orders them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from core.model.errors import CountersignError, Kind, PermanentError, Problem, WorkError
from core.model.lane import Lane
from core.model.provenance import Provenance, summed
from core.model.workflow import APPROVAL, CHECK, REVERT, WORKFLOW, WorkflowStep, values_of
from core.ports import Executor, ExecutorResult, Repository, WorkOrder
from lanes.budget_pool import BudgetPool
from lanes.executors.checks import CheckRunner
from lanes.executors.edit import reverted_tree
from lanes.executors.names import STEPS, unknown_executor_message
from lanes.repository import as_git
from lanes.workflow import condition
from lanes.workflow.cache import StepCache
from lanes.workflow.fill import ReadSentence
from lanes.workflow.merge import Changes, before, changes_of, merged
from lanes.workflow.plan import in_order
from lanes.workflow.step import Made, Maker, lane_of

AT_ONCE: Final = 4
"""How many steps of one workflow run side by side."""

STEPS_LOG: Final = "steps.log"


@dataclass(frozen=True, slots=True)
class WorkflowExecutor:
    """Runs each step with the executor that it names. It is told the steps up to the next approval, and no further."""

    executors: Mapping[str, Executor]
    checks: CheckRunner
    read: ReadSentence
    cache: StepCache
    name: str = WORKFLOW
    reads: bool = False

    def unavailable(self, lane: Lane) -> Problem | None:
        """Why one of the lane's steps cannot run here."""
        for step in lane.steps:
            if step.run in (APPROVAL, REVERT):
                continue
            own = lane_of(lane, step)
            if step.run == CHECK:
                problem = self.checks.unavailable(own)
            elif step.run in self.executors:
                problem = self.executors[step.run].unavailable(own)
            else:
                mend = "Name one of these in the lane's file, or enable its plugin: docs/lanes.md."
                message = f"the step {step.name}: {unknown_executor_message(step.run, {*self.executors, *STEPS})}"
                problem = Problem(Kind.UNAVAILABLE, "no_executor", message, mend)
            if problem is not None:
                return problem
        return None

    def needs(self, lane: Lane) -> frozenset[str]:
        """What any of the lane's steps needs, before an approval or after."""
        found = frozenset(lane.needs)
        for step in lane.steps:
            own = lane_of(lane, step)
            if step.run == CHECK:
                found |= self.checks.needs(own)
            elif step.run in self.executors:
                found |= self.executors[step.run].needs(own)
        return found

    async def produce(self, order: WorkOrder, repository: Repository) -> ExecutorResult:
        """The tree that all steps together make; raises `PermanentError` naming the step that could not."""
        if order.intent.revert_of is not None:
            return ExecutorResult(await reverted_tree(order, repository), {})
        lane = order.lane
        values = values_of(lane.name, lane.parameters, order.parameters)
        steps, mending = self._to_run(lane.steps, values) if order.feedback else (lane.steps, "")
        purse = BudgetPool(order, lambda name: run.beside(name))  # noqa: PLW0108 - the run needs the purse first
        maker = Maker(self.executors, self.checks, self.read, self.cache, order, repository, values, purse, mending)
        run = _Run(maker, steps, {step.name for step in self._asking(steps, values)})
        try:
            async with asyncio.timeout(lane.limits.wall_s):
                return await run.all()
        except TimeoutError as error:
            under_way = ", ".join(run.under_way) or "none"
            raise PermanentError(
                "timed_out",
                f"The steps of lane {lane.name} were not done after {lane.limits.wall_s} s; under way: {under_way}",
                "Raise `wall_s` in the lane's limits, or ask for less.",
            ) from error
        except BaseExceptionGroup as group:
            raise _first(group) from group

    def mends(self, lane: Lane) -> bool:
        """Whether a step of the lane reads, so that a failing check of the whole is worth telling."""
        return any(map(self._reads, lane.steps))

    def _reads(self, step: WorkflowStep) -> bool:
        return step.run in self.executors and self.executors[step.run].reads

    def _asking(self, steps: Sequence[WorkflowStep], values: Mapping[str, str]) -> list[WorkflowStep]:
        return [step for step in steps if self._reads(step) and condition.parse(step.when).holds(values)]

    def _to_run(self, steps: Sequence[WorkflowStep], values: Mapping[str, str]) -> tuple[tuple[WorkflowStep, ...], str]:
        """What runs again after a failing check: the last step that reads, which is named, and all that follow it."""
        asking = self._asking(in_order(steps), values)
        if not asking:
            return (), ""
        last, earlier = asking[-1].name, before(steps)
        return tuple(step for step in steps if step.name == last or last in earlier[step.name]), last


class _Run:
    """One run of steps; each begins once all it needs are done. `asking` are those that may ask models."""

    def __init__(self, maker: Maker, steps: Sequence[WorkflowStep], asking: set[str]) -> None:
        self._maker, self._order = maker, maker.order
        self._steps = {step.name: step for step in steps}
        self._before = before(self._steps.values())
        self._asking = asking
        self._made: dict[str, Made] = {}
        self._changes: dict[str, Changes] = {}
        self._room = asyncio.Semaphore(AT_ONCE)
        self.under_way: list[str] = []

    async def all(self) -> ExecutorResult:
        """Run every step, and put together what they made."""
        tasks: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            for step in self._steps.values():
                tasks[step.name] = group.create_task(self._one(step, tasks))
        tree = await self._together(frozenset(self._steps))
        files = {name: content for made in self._made.values() for name, content in made.artifacts.items()}
        files[STEPS_LOG] = "".join(f"{name}: {self._made[name].told}\n" for name in self._steps).encode()
        return ExecutorResult(tree, files, _making([self._made[name] for name in self._steps]))

    def beside(self, name: str) -> int:
        """How many steps may yet ask models beside this one, which asks now."""
        self._asking.discard(name)
        rest = self._asking - self._made.keys() - self._before[name]
        return min(sum(name not in self._before[other] for other in rest), AT_ONCE - 1)

    async def _one(self, step: WorkflowStep, tasks: Mapping[str, asyncio.Task[None]]) -> None:
        for need in step.needs:
            if need in tasks:  # the others are done, and approved
                await tasks[need]
        start = await self._together(self._before[step.name])
        if not condition.parse(step.when).holds(self._maker.values):
            self._made[step.name] = Made(start, told=f"left out, for it is not so that {step.when}")
            self._changes[step.name] = {}
            return
        async with self._room:
            self.under_way.append(step.name)
            try:
                made = await self._maker.make(step, start)
            except CountersignError as error:
                raise _named(step, error) from error
        self._changes[step.name] = await self._own(start, made.tree)
        self._made[step.name] = made
        self.under_way.remove(step.name)

    async def _own(self, start: str, tree: str) -> Changes:
        """What a step that made `tree` of `start` changed."""
        return {} if start == tree else changes_of(await self._maker.repository.change(start, tree))

    async def _together(self, names: frozenset[str]) -> str:
        """The tree that all of these steps left; they are done, and so is all that is before them."""
        tops = [name for name in names if not any(name in self._before[other] for other in names)]
        if not tops:
            return self._order.start
        if len(tops) == 1:
            return self._made[tops[0]].tree
        entries = merged({name: self._changes[name] for name in self._steps if name in names}, self._before)
        git = as_git(self._maker.repository)
        writes, modes, deletes = {}, {}, []
        for raw, entry in entries.items():
            path = raw.decode("utf-8", "surrogateescape")
            if entry.blob is None:
                deletes.append(path)
            else:
                writes[path], modes[path] = await git.read_blob(entry.blob), entry.mode
        return await git.write_tree(self._order.start, writes, deletes, modes)


def _making(made: list[Made]) -> Provenance:
    """How all was made: the words of each, the sum of what was spent, every check."""
    spent = summed(usage for each in made for usage in each.making.usage)
    words = " ".join(each.making.words for each in made if each.making.words)
    checks = tuple(check for each in made for check in each.making.checks)
    tries = max((each.making.tries for each in made), default=1)
    refused = next((each.making.refused for each in made if each.making.refused), "")
    return Provenance(WORKFLOW, words, spent, checks, tries, refused=refused)


def _named(step: WorkflowStep, error: CountersignError) -> CountersignError:
    """The error with its step's name in front; its code, kind and artifacts stay."""
    told = error.problem
    error.problem = replace(told, message=f"step {step.name}: {told.message}")
    if isinstance(error, WorkError):
        error.artifacts = {f"{step.name}.{name}": content for name, content in error.artifacts.items()}
    return error


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What failed first; the rest was stopped by it, or waited for it."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
