"""The `ollama` executor: works an order with a model, within the lane's budget and time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from core.model.errors import CountersignError, Kind, PermanentError, Problem, TransientError, UsageError, WorkError
from core.model.lane import Lane
from core.model.provenance import Provenance
from core.ports import ExecutorResult, Repository, WorkOrder
from lanes.builtin_agent.budget import BudgetMeter
from lanes.builtin_agent.loop import AgentLoop
from lanes.builtin_agent.prompts import opening
from lanes.builtin_agent.tools import LOG_WITHHELD, AgentTools
from lanes.builtin_agent.virtual_workspace import Refusal, VirtualWorkspace, refuses_nothing
from lanes.builtin_agent.withheld_text import Leaks, WithheldText, leaks_unknown
from lanes.executors.checks import CheckRunner
from lanes.executors.edit import reverted_tree
from lanes.models import ChatMessage, ChatModel, Endpoint, ModelName
from lanes.repository import as_git

TRANSCRIPT: Final = "transcript.jsonl"
_MOST_WORDS: Final = 500

Refusals = Callable[[Lane], Refusal]


def refuses_nothing_in(_lane: Lane) -> Refusal:
    """`Refusals` where no guard is asked."""
    return refuses_nothing


@dataclass(frozen=True, slots=True)
class BuiltinAgentExecutor:
    """A model edits through tools. `shelf` gives the model of these names, of which the first that answers is taken.

    `leaks` says whether a text holds a secret; such texts are kept from the model. `refusals` gives for a lane what the
    guard would refuse in it, so that the model hears of it at once.
    """

    endpoints: Mapping[str, Endpoint]
    shelf: Callable[[Sequence[str]], ChatModel]
    checks: CheckRunner
    leaks: Leaks = leaks_unknown
    refusals: Refusals = refuses_nothing_in
    name: str = "ollama"
    reads: bool = True

    def unavailable(self, lane: Lane) -> Problem | None:
        """Why the lane's models cannot be asked; whether they answer shows when they are."""
        try:
            names = self._names(lane)
            self.shelf(list(map(str, names)))
        except CountersignError as error:
            return Problem(Kind.REFUSED, error.problem.code, error.problem.message, error.problem.mend)
        return self.checks.unavailable(lane)

    def needs(self, lane: Lane) -> frozenset[str]:
        """What the lane asks for; its checks need a sandbox."""
        return frozenset(lane.needs) | self.checks.needs(lane)

    async def produce(self, order: WorkOrder, repository: Repository) -> ExecutorResult:
        """The tree that the model leaves; raises `WorkError` with the transcript when it comes to no end."""
        if order.intent.revert_of is not None:
            return ExecutorResult(await reverted_tree(order, repository), {})
        names = self._names(order.lane)
        withheld = WithheldText(order.lane.write, self.leaks)
        if order.feedback and await withheld.leaking(order.feedback):
            order = replace(order, feedback=f"The lane's checks failed. {LOG_WITHHELD}")
        lane = order.lane
        desk = VirtualWorkspace(
            as_git(repository), order.start, lane.write, order.base, lane.limits, self.refusals(lane), withheld
        )
        await desk.open()

        async def run_check(name: str, tree: str) -> str:
            results, logs = await self.checks.run(order.lane, repository, tree, only=name)
            log = next(iter(logs.values()), b"").decode("utf-8", "replace")
            return f"{'It passed' if results[0].passed else results[0].detail}.\n{log[-8_000:]}"

        loop = AgentLoop(
            model=self.shelf(list(map(str, names))),
            tools=AgentTools(desk, tuple(check.name for check in order.lane.checks), run_check),
            meter=BudgetMeter(order.lane.budget, order.lane.name),
            journal=order.journal,
            told=order.told,
            charge=order.charge,
            room_tokens=min(self.endpoints[name.endpoint].context_tokens for name in names),
            talk=opening(order, await asyncio.to_thread(desk.refused)),
        )
        summary = await self._within(order.lane, loop)
        making = Provenance(self.name, summary.strip()[:_MOST_WORDS], loop.meter.usage, refused=loop.tools.refused)
        return ExecutorResult(await desk.result(), {TRANSCRIPT: transcript(loop.talk)}, making)

    async def _within(self, lane: Lane, loop: AgentLoop) -> str:
        """The loop's end, within the lane's time; what it did so far explains a failure."""
        try:
            async with asyncio.timeout(lane.limits.wall_s):
                return await loop.run()
        except TimeoutError as error:
            message = f"The model of lane {lane.name} was not done after {lane.limits.wall_s} s"
            mend = "Raise `wall_s` in the lane's limits, or ask for less."
            raise WorkError("timed_out", message, mend, artifacts={TRANSCRIPT: transcript(loop.talk)}) from error
        except TransientError:
            raise
        except PermanentError as error:
            told = error.problem
            kept = {TRANSCRIPT: transcript(loop.talk)}
            raise WorkError(told.code, told.message, told.mend, artifacts=kept) from error

    def _names(self, lane: Lane) -> tuple[ModelName, ...]:
        if not lane.models:
            raise UsageError(
                "no_model",
                f"lane {lane.name} names no model",
                'Add one to its file, as in: models: ["local/qwen3:8b"].',
            )
        names = tuple(map(ModelName.parse, lane.models))
        for name in names:
            if name.endpoint not in self.endpoints:
                known = ", ".join(sorted(self.endpoints)) or "none is configured"
                raise UsageError(
                    "no_endpoint",
                    f"lane {lane.name} names the endpoint {name.endpoint!r}, which countersign.yaml does not know",
                    f"Known: {known}. Add it under `models:`.",
                )
        return names


def transcript(talk: Sequence[ChatMessage]) -> bytes:
    """The whole talk, a line of JSON for each message."""
    return b"".join(json.dumps(message.to_json(), ensure_ascii=True).encode() + b"\n" for message in talk)
