"""One step: the order it becomes for its executor, its tries, and what of it is kept for whoever comes later."""

from __future__ import annotations

import asyncio
import base64
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from core.model.advice import CommandName, Suggestion, advise
from core.model.change import show_path
from core.model.errors import Kind, PermanentError, TransientError, WorkError
from core.model.intent import Intent
from core.model.lane import Lane, LaneCheck
from core.model.provenance import NOT_TOLD, Provenance
from core.model.workflow import APPROVAL, CHECK, COMMAND, EDIT, REVERT, WorkflowStep
from core.ports import Commit, Executor, ExecutorResult, Repository, WorkOrder
from lanes.executors.artifacts import adopted, kept
from lanes.budget_pool import BudgetPool
from lanes.executors.checks import CheckRunner
from lanes.executors.names import unknown_executor_message
from lanes.executors.tree import matching_paths
from lanes.workflow import condition, fill
from lanes.workflow.cache import Kept, StepCache, key_of, packed, restored

PATIENCE_S: Final = 60.0
"""A fault that asks for a longer wait than this is left to the queue, which waits without holding a worker."""
_OID: Final = re.compile(r"[0-9a-f]{40}")
_JOURNALED_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Made:
    """What a step came to; `told` is a line of the host's about it."""

    tree: str
    making: Provenance = NOT_TOLD
    artifacts: Mapping[str, bytes] = field(default_factory=dict)
    told: str = ""


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes the steps of one order; the step `mending` is told what the lane's checks said of an earlier try."""

    executors: Mapping[str, Executor]
    checks: CheckRunner
    read: fill.ReadSentence
    cache: StepCache
    order: WorkOrder
    repository: Repository
    values: Mapping[str, str]
    purse: BudgetPool
    mending: str = ""

    async def make(self, step: WorkflowStep, start: str) -> Made:
        """What the step makes of `start`: as an earlier worker left it, as it is kept, or made now."""
        key = key_of(self.order, step, self._used(step), start, self.repository.spec.id)
        found = await self._finished(step, key) or await self._kept(step, key)
        if found is not None:
            return found
        began = time.monotonic()
        produced = await self._tries(step, start)
        await self._check_bounds(step, start, produced.tree)
        took = f"{step.run}, {time.monotonic() - began:.1f} s"
        keep = Kept(produced.tree, await kept(self.checks.files, produced.artifacts))
        await self._finish(step, key, start, keep, produced.making)
        if step.cache:
            await self.cache.keep(key, start, keep, self.repository)
        return Made(produced.tree, produced.making, produced.artifacts, took)

    # -- what was made before ------------------------------------------------------------------------------------

    async def _finished(self, step: WorkflowStep, key: str) -> Made | None:
        """What an earlier worker of this very job made of the same step."""
        for entry in await self.order.journal.part(f"{step.name}:made").recall():
            pack = base64.b64decode(entry["pack"])
            if entry["key"] == key and await restored(entry["tree"], pack, self.repository):
                making = Provenance.from_json(entry["making"])
                self.purse.adopt(step.name, making.usage)
                files, gone = await adopted(self.checks.files, entry["files"])
                return Made(entry["tree"], making, files, f"finished by an earlier worker{gone}")
        return None

    async def _finish(self, step: WorkflowStep, key: str, start: str, made: Kept, making: Provenance) -> None:
        pack = await packed(start, made.tree, self.repository)
        said = base64.b64encode(pack).decode() if len(pack) <= _JOURNALED_BYTES else ""
        entry = {"key": key, "tree": made.tree, "pack": said, "making": making.to_json(), "files": dict(made.files)}
        await self.order.journal.part(f"{step.name}:made").add(entry)

    async def _kept(self, step: WorkflowStep, key: str) -> Made | None:
        """What the same step made of the same inputs, for whatever task."""
        found = await self.cache.find(key, self.repository) if step.cache else None
        if found is None:
            return None
        files, gone = await adopted(self.checks.files, found.files)
        told = f"taken from what was kept of the same step ({key[:12]}){gone}"
        return Made(found.tree, artifacts=files, told=told)

    def _used(self, step: WorkflowStep) -> dict[str, str]:
        """The values that the step uses."""
        names = {*fill.named_in(step.do), *condition.parse(step.when).names}
        names.update(name for _, text in step.environment for name in fill.named_in(text))
        for n, word in enumerate(step.command):
            names.update(() if fill.is_program(step.command, n) else fill.named_in(word))
        return {name: self.values[name] for name in sorted(names)}

    # -- making it -------------------------------------------------------------------------------------------------

    async def _tries(self, step: WorkflowStep, start: str) -> ExecutorResult:
        """The step's work, tried again after what may pass by itself."""
        for n in range(step.retries + 1):
            await self.order.told(f"step {step.name}" + (f", try {n + 1}" if n else ""))
            try:
                return await self._try(step, start)
            except TransientError as error:
                wait_s = error.retry_after_s if error.retry_after_s is not None else 0.5 * 2**n
                if n == step.retries or wait_s > PATIENCE_S:
                    raise
                await asyncio.sleep(wait_s)
        raise AssertionError("unreachable")

    async def _try(self, step: WorkflowStep, start: str) -> ExecutorResult:
        if step.run == CHECK:
            return await self._checked(step, start)
        if step.run == REVERT:
            return ExecutorResult(await self._reverted(step, start), {})
        executor = self.executors.get(step.run)
        if executor is None or step.run == APPROVAL:
            message, mend = unknown_executor_message(step.run, self.executors), "Name one of these in the lane's file."
            raise PermanentError("no_executor", message, mend, kind=Kind.REFUSED)
        if not executor.reads:
            return _prefixed(step.name, await executor.produce(self._order(step, start), self.repository))
        async with self.purse.share(step.name) as budget:
            order = self._order(step, start)
            asked = replace(order, lane=replace(order.lane, budget=budget))
            return _prefixed(step.name, await executor.produce(asked, self.repository))

    async def _checked(self, step: WorkflowStep, start: str) -> ExecutorResult:
        """The tree as it is, once the step's command was content with it."""
        lane = self._lane(step)
        results, logs = await self.checks.run(lane, self.repository, start)
        for result in results:
            if not result.passed:
                mend = advise(
                    "Mend what it finds, or the steps before it; its log is in ",
                    Suggestion(CommandName.TRANSCRIPT),
                    ".",
                    otherwise="Mend what it finds, or the steps before it; whoever runs Countersign can read its log.",
                )
                raise WorkError("check_failed", f"it {result.detail}", mend, artifacts=logs)
        return _prefixed(step.name, ExecutorResult(start, logs, Provenance(checks=results)))

    async def _reverted(self, step: WorkflowStep, start: str) -> str:
        """The tree without the change of one commit of the branch."""
        oid = fill.filled(step.do, self.values).strip()
        if not _OID.fullmatch(oid):
            message = f"{oid[:60]!r} is not a commit"
            raise PermanentError("bad_parameter", message, "Give all 40 hex digits of its id.", kind=Kind.USAGE)
        if not await self.repository.has(oid):
            message = f"there is no commit {oid[:12]} in {self.repository.spec.name}"
            mend = "Name one of its branch, with all 40 hex digits."
            raise PermanentError("no_such_commit", message, mend, kind=Kind.MISSING)
        on_top = Commit(start, self.order.base, "countersign: before a revert\n", datetime.fromtimestamp(0, UTC))
        return await self.repository.revert(oid, await self.repository.write_commit(on_top))

    def _order(self, step: WorkflowStep, start: str) -> WorkOrder:
        """What the step's executor is told: its own words, lane and journal, and nothing of the other steps."""

        async def told(words: str) -> None:
            await self.order.told(f"{step.name}: {words}")

        return replace(
            self.order,
            lane=self._lane(step),
            intent=self._intent(step),
            start=start,
            feedback=self.order.feedback if step.name == self.mending else "",
            parameters={} if step.run in (EDIT, COMMAND) else self._used(step),
            journal=self.order.journal.part(step.name),
            told=told,
            charge=self.purse.of(step.name),
        )

    def _lane(self, step: WorkflowStep) -> Lane:
        lane = lane_of(self.order.lane, step)
        command = fill.argv(step.name, step.command, self.values)
        environment = tuple((name, fill.filled(text, self.values)) for name, text in lane.environment)
        checks = lane.checks
        if step.run == CHECK:
            checks = (replace(checks[0], command=command),)
        return replace(lane, command=command, environment=environment, checks=checks)

    def _intent(self, step: WorkflowStep) -> Intent:
        text = fill.filled(step.do, self.values)
        if step.run != EDIT:
            return Intent(text or self.order.intent.text)
        try:
            edits = fill.edits(step.do, self.order.lane.parameters, self.values, self.read)
        except ValueError as error:  # a path or a key that cannot be, or a version that is none
            message = f"cannot do {text[:100]!r}: {str(error).rstrip('.')}"
            raise PermanentError("bad_parameter", message, "Give another value.", kind=Kind.USAGE) from error
        return Intent(text, tuple(edits))

    async def _check_bounds(self, step: WorkflowStep, start: str, tree: str) -> None:
        """Raise `PermanentError` when the step changed what its `writes` do not name; the guard judges the lane's."""
        if not step.writes or start == tree:
            return
        for file in (await self.repository.change(start, tree)).files:
            path = file.path.decode("utf-8", "surrogateescape")
            if not any(matching_paths(pattern.removeprefix("/"), [path]) for pattern in step.writes):
                raise PermanentError(
                    "step_out_of_bounds",
                    f"it changed {show_path(file.path)}, and may write only {', '.join(step.writes)}",
                    "Ask for less, or widen the step's `writes`.",
                    kind=Kind.BLOCKED,
                )


def _prefixed(step: str, produced: ExecutorResult) -> ExecutorResult:
    """The same, its files named after the step."""
    files = {f"{step}.{name}": content for name, content in produced.artifacts.items()}
    checks = tuple(replace(check, artifact=f"{step}.{check.artifact}") for check in produced.making.checks)
    return ExecutorResult(produced.tree, files, replace(produced.making, checks=checks))


def lane_of(lane: Lane, step: WorkflowStep) -> Lane:
    """The lane as one step of it has it: never more than the whole, its command and environment still unfilled."""
    checks = tuple(check for check in lane.checks if check.name in step.checks)
    if step.run == CHECK:
        checks = (LaneCheck(step.name, step.command, required=True),)
    wall_s = min(step.wall_s or lane.limits.wall_s, lane.limits.wall_s)
    return replace(
        lane,
        executor=step.run,
        command=step.command,
        environment=tuple({**dict(lane.environment), **dict(step.environment)}.items()),
        write=step.writes or lane.write,
        whole=lane.write,
        models=step.models or lane.models,
        checks=checks,
        retries=step.retries,
        limits=replace(lane.limits, wall_s=wall_s),
        parameters=(),
        steps=(),
    )
