"""Runs one step: builds the order for its executor, retries it, and stores its result for later workers and tasks."""

from __future__ import annotations

import asyncio
import base64
import random
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
from core.model.provenance import NO_PROVENANCE, Provenance
from core.model.stored import StoredObject
from core.model.workflow import APPROVAL, CHECK, COMMAND, EDIT, REVERT, WorkflowStep
from core.ports.executor import Executor, ExecutorResult, WorkOrder
from core.ports.repository import Commit, Repository
from lanes.budget_pool import BudgetPool
from lanes.executors.artifacts import load_artifacts, store_artifacts
from lanes.executors.checks import CheckRunner
from lanes.executors.names import unknown_executor_message
from lanes.executors.tree import matching_paths
from lanes.workflow import condition, fill
from lanes.workflow.cache import CachedStep, StepCache, pack_objects, restore_tree, step_key

MAX_RETRY_WAIT_S: Final = 60.0
"""Longer waits are left to the queue, which does not occupy a worker."""
_OID: Final = re.compile(r"[0-9a-f]{40}")
_VERSION: Final = 1
"""Of its entries in a journal."""
_JOURNALED_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class StepResult:
    """The result of a step; `note` is our note for the steps' log; `is_reused`: it did not run for it."""

    tree: str
    provenance: Provenance = NO_PROVENANCE
    artifacts: Mapping[str, bytes] = field(default_factory=dict)
    note: str = ""
    is_reused: bool = False


@dataclass(frozen=True, slots=True)
class StepRunner:
    """Runs the steps of one order; the step `mending_step` is given the log of the checks that failed before."""

    executors: Mapping[str, Executor]
    checks: CheckRunner
    read: fill.ReadSentence
    cache: StepCache
    order: WorkOrder
    repository: Repository
    values: Mapping[str, str]
    pool: BudgetPool
    mending_step: str = ""

    async def run(self, step: WorkflowStep, start: str) -> StepResult:
        """The step's result for the tree `start`: from the journal, from the cache, or by running it."""
        key = step_key(self.order, step, self._used_values(step), start, self.repository.spec.id)
        earlier = await self._from_journal(step, key) or await self._from_cache(step, key)
        if earlier is not None:
            return earlier
        started = time.monotonic()
        produced = await self._run_with_retries(step, start)
        await self._check_bounds(step, start, produced.tree)
        note = f"{step.run}, {time.monotonic() - started:.1f} s"
        cached = CachedStep(produced.tree, await store_artifacts(self.checks.artifact_files, produced.artifacts))
        await self._journal_result(step, key, start, cached, produced.provenance)
        if step.cache:
            await self.cache.store(key, start, cached, self.repository)
        return StepResult(produced.tree, produced.provenance, produced.artifacts, note)

    # -- earlier results -----------------------------------------------------------------------------------------

    async def _from_journal(self, step: WorkflowStep, key: str) -> StepResult | None:
        """The result that an earlier worker of this job journaled for the step."""
        for value in await self.order.journal.part(f"{step.name}:made").recall():
            entry = StoredObject(value, "a finished step of a workflow", newest=_VERSION)
            pack = base64.b64decode(entry["pack"])
            if entry["key"] == key and await restore_tree(entry["tree"], pack, self.repository):
                provenance = Provenance.from_json(entry["making"])
                files, missing_note = await load_artifacts(self.checks.artifact_files, entry["files"])
                note = f"finished by an earlier worker{missing_note}"
                return StepResult(entry["tree"], provenance, files, note, is_reused=True)
        return None

    async def _journal_result(
        self, step: WorkflowStep, key: str, start: str, result: CachedStep, provenance: Provenance
    ) -> None:
        pack = await pack_objects(start, result.tree, self.repository)
        pack_text = base64.b64encode(pack).decode() if len(pack) <= _JOURNALED_BYTES else ""
        entry = {
            "v": _VERSION,
            "key": key,
            "tree": result.tree,
            "pack": pack_text,
            "making": provenance.to_json(),
            "files": dict(result.files),
        }
        await self.order.journal.part(f"{step.name}:made").add(entry)

    async def _from_cache(self, step: WorkflowStep, key: str) -> StepResult | None:
        """The cached result of the same step for the same inputs, in any task."""
        cached = await self.cache.find(key, self.repository) if step.cache else None
        if cached is None:
            return None
        files, missing_note = await load_artifacts(self.checks.artifact_files, cached.files)
        note = f"taken from the cache ({key[:12]}){missing_note}"
        return StepResult(cached.tree, artifacts=files, note=note, is_reused=True)

    def _used_values(self, step: WorkflowStep) -> dict[str, str]:
        """The parameter values that the step uses."""
        names = {*fill.named_in(step.do), *condition.parse(step.when).names}
        names.update(name for _, text in step.environment for name in fill.named_in(text))
        for n, word in enumerate(step.command):
            names.update(() if fill.is_program(step.command, n) else fill.named_in(word))
        return {name: self.values[name] for name in sorted(names)}

    # -- running -------------------------------------------------------------------------------------------------

    async def _run_with_retries(self, step: WorkflowStep, start: str) -> ExecutorResult:
        """Run the step, again after transient errors."""
        for n in range(step.retries + 1):
            await self.order.progress(f"step {step.name}" + (f", attempt {n + 1}" if n else ""))
            try:
                return await self._run_once(step, start)
            except TransientError as error:
                backoff_s = 0.5 * 2**n * (0.75 + random.random() / 2)  # noqa: S311 - jitter
                wait_s = error.retry_after_s if error.retry_after_s is not None else backoff_s
                if n == step.retries or wait_s > MAX_RETRY_WAIT_S:
                    raise
                await asyncio.sleep(wait_s)
        raise AssertionError("unreachable")

    async def _run_once(self, step: WorkflowStep, start: str) -> ExecutorResult:
        if step.run == CHECK:
            return await self._run_check(step, start)
        if step.run == REVERT:
            return ExecutorResult(await self._run_revert(step, start), {})
        executor = self.executors.get(step.run)
        if executor is None or step.run == APPROVAL:
            message, mend = unknown_executor_message(step.run, self.executors), "Name one of these in the lane's file."
            raise PermanentError("no_executor", message, mend, kind=Kind.REFUSED)
        if not executor.reads:
            return with_step_prefix(step.name, await executor.produce(self._order(step, start), self.repository))
        async with self.pool.share(step.name) as budget:
            order = self._order(step, start)
            budgeted = replace(order, lane=replace(order.lane, budget=budget))
            return with_step_prefix(step.name, await executor.produce(budgeted, self.repository))

    async def _run_check(self, step: WorkflowStep, start: str) -> ExecutorResult:
        """The unchanged tree, if the step's command succeeds on it."""
        lane = self._lane(step)
        results, logs = await self.checks.run(lane, self.repository, start, output=self.order.output.part(step.name))
        for result in results:
            if not result.passed:
                mend = advise(
                    "Fix what it reports, or the steps before it. Its log is in ",
                    Suggestion(CommandName.TRANSCRIPT),
                    ".",
                    otherwise="Fix what it reports, or the steps before it. Your operator can read its log.",
                )
                raise WorkError("check_failed", f"it {result.detail}", mend, artifacts=logs)
        return with_step_prefix(step.name, ExecutorResult(start, logs, Provenance(checks=results)))

    async def _run_revert(self, step: WorkflowStep, start: str) -> str:
        """The tree without the change of one commit."""
        oid = fill.filled(step.do, self.values).strip()
        if not _OID.fullmatch(oid):
            message = f"{oid[:60]!r} is not a commit"
            raise PermanentError("bad_parameter", message, "Give all 40 hex digits of its id.", kind=Kind.USAGE)
        if not await self.repository.has(oid):
            message = f"There is no commit {oid[:12]} in {self.repository.spec.name}"
            mend = "Name a commit of its branch, with all 40 hex digits."
            raise PermanentError("no_such_commit", message, mend, kind=Kind.MISSING)
        commit = Commit(start, self.order.base, "countersign: before a revert\n", datetime.fromtimestamp(0, UTC))
        return await self.repository.revert(oid, await self.repository.write_commit(commit))

    def _order(self, step: WorkflowStep, start: str) -> WorkOrder:
        """The order for the step's executor: its own text, lane and journal, and nothing of the other steps."""

        async def progress(words: str) -> None:
            await self.order.progress(f"{step.name}: {words}")

        return replace(
            self.order,
            lane=self._lane(step),
            intent=self._intent(step),
            start=start,
            feedback=self.order.feedback if step.name == self.mending_step else "",
            parameters={} if step.run in (EDIT, COMMAND) else self._used_values(step),
            journal=self.order.journal.part(step.name),
            progress=progress,
            usage=self.pool.reporter(step.name),
            output=self.order.output.part(step.name),
        )

    def _lane(self, step: WorkflowStep) -> Lane:
        return filled_lane(self.order.lane, step, self.values)

    def _intent(self, step: WorkflowStep) -> Intent:
        text = fill.filled(step.do, self.values)
        if step.run != EDIT:
            return Intent(text or self.order.intent.text)
        try:
            edits = fill.fill_edits(step.do, self.order.lane.parameters, self.values, self.read)
        except ValueError as error:  # an invalid path, key or version
            message = f"cannot do {text[:100]!r}: {str(error).rstrip('.')}"
            raise PermanentError("bad_parameter", message, "Give another value.", kind=Kind.USAGE) from error
        return Intent(text, tuple(edits))

    async def _check_bounds(self, step: WorkflowStep, start: str, tree: str) -> None:
        """Raise `PermanentError` when the step changed a path outside its `writes`; the guard checks the lane's."""
        if not step.writes or start == tree:
            return
        for file in (await self.repository.change(start, tree)).files:
            path = file.path.decode("utf-8", "surrogateescape")
            if not any(matching_paths(pattern.removeprefix("/"), [path]) for pattern in step.writes):
                raise PermanentError(
                    "step_out_of_bounds",
                    f"it changed {show_path(file.path)}, but may write only {', '.join(step.writes)}",
                    "Ask for a smaller change, or extend the step's `writes`.",
                    kind=Kind.BLOCKED,
                )


def with_step_prefix(step: str, result: ExecutorResult) -> ExecutorResult:
    """The result with the step's name before its artifact names."""
    files = {f"{step}.{name}": content for name, content in result.artifacts.items()}
    checks = tuple(replace(check, artifact=f"{step}.{check.artifact}") for check in result.provenance.checks)
    return ExecutorResult(result.tree, files, replace(result.provenance, checks=checks))


def filled_lane(lane: Lane, step: WorkflowStep, values: Mapping[str, str]) -> Lane:
    """The lane as one step sees it (`step_lane`), with parameters substituted in its command and environment."""
    own = step_lane(lane, step)
    command = fill.fill_command(step.name, step.command, values)
    environment = tuple((name, fill.filled(text, values)) for name, text in own.environment)
    checks = (replace(own.checks[0], command=command),) if step.run == CHECK else own.checks
    return replace(own, command=command, environment=environment, checks=checks)


def step_lane(lane: Lane, step: WorkflowStep) -> Lane:
    """The lane as one step sees it, never with more rights; its command and environment are not filled yet."""
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
