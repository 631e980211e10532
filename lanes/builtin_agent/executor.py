"""The executor `ollama`: a model makes the change through tools, within the lane's budget and time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from core.model.budget_question import BudgetSpentError
from core.model.errors import CountersignError, Kind, PermanentError, Problem, TransientError, UsageError, WorkError
from core.model.lane import Lane
from core.model.provenance import Provenance
from core.ports.executor import ExecutorResult, WorkOrder
from core.ports.repository import Repository
from lanes.builtin_agent.budget import BudgetMeter
from lanes.builtin_agent.loop import AgentLoop
from lanes.builtin_agent.prompts import opening_messages
from lanes.builtin_agent.tools import LOG_WITHHELD, AgentTools
from lanes.builtin_agent.virtual_workspace import Refusal, VirtualWorkspace, refuses_nothing
from lanes.builtin_agent.withheld_text import HasSecret, WithheldText, finds_no_secret
from lanes.executors.checks import CheckRunner
from lanes.models import ChatMessage, ChatModel, Endpoint, ModelName
from lanes.models.endpoint import CHAT_KINDS
from lanes.repository import as_git

TRANSCRIPT: Final = "transcript.jsonl"
_MAX_SUMMARY_CHARS: Final = 500
_MAX_LOG_CHARS: Final = 8_000

Refusals = Callable[[Lane], Refusal]
"""Returns the `Refusal` of a lane."""


def refuses_nothing_in(_lane: Lane) -> Refusal:
    """`Refusals` for use without a guard."""
    return refuses_nothing


@dataclass(frozen=True, slots=True)
class BuiltinAgentExecutor:
    """A model edits files through tools; `model_for` returns a model that asks the named ones in order.

    `has_secret` tells whether a text contains a secret; such texts are withheld from the model. `refusals` tells what
    the guard would refuse in a lane, so that the model gets the error at once.
    """

    endpoints: Mapping[str, Endpoint]
    model_for: Callable[[Sequence[str]], ChatModel]
    checks: CheckRunner
    has_secret: HasSecret = finds_no_secret
    refusals: Refusals = refuses_nothing_in
    name: str = "ollama"
    reads: bool = True
    deterministic: bool = False

    def unavailable(self, lane: Lane) -> Problem | None:
        """Why the lane's models or checks cannot be used; does not test whether the models answer."""
        try:
            self._model(self._names(lane))
        except CountersignError as error:
            problem = error.problem
            return Problem(Kind.REFUSED, problem.code, problem.message, problem.mend)
        return self.checks.unavailable(lane)

    def needs(self, lane: Lane) -> frozenset[str]:
        """The capabilities that the lane and its checks need."""
        return frozenset(lane.needs) | self.checks.needs(lane)

    async def produce(self, order: WorkOrder, repository: Repository) -> ExecutorResult:
        """The tree that the model leaves; raises `WorkError` with the transcript when the work fails."""
        lane, names = order.lane, self._names(order.lane)
        withheld = WithheldText(lane.write, self.has_secret)
        if order.feedback and await withheld.has_secret_in(order.feedback):
            order = replace(order, feedback=f"The lane's checks failed. {LOG_WITHHELD}")
        workspace = VirtualWorkspace(
            as_git(repository), order.start, lane.write, order.base, lane.limits, self.refusals(lane), withheld
        )
        await workspace.open()

        async def run_check(name: str, tree: str) -> str:
            results, logs = await self.checks.run(lane, repository, tree, only=name)
            log = next(iter(logs.values()), b"").decode("utf-8", "replace")
            return f"{'It passed' if results[0].passed else results[0].detail}.\n{log[-_MAX_LOG_CHARS:]}"

        loop = AgentLoop(
            model=self._model(names),
            tools=AgentTools(workspace, tuple(check.name for check in lane.checks), run_check),
            meter=BudgetMeter(lane.budget, lane.name, await order.usage.spent()),
            journal=order.journal,
            progress=order.progress,
            usage=order.usage,
            context_tokens=min(
                endpoint.context_tokens
                for name in names
                for endpoint in name.endpoints_in(self.endpoints)
                if endpoint.kind in CHAT_KINDS
            ),
            messages=opening_messages(order, await asyncio.to_thread(workspace.refused_paths)),
        )
        summary = await _within_time(lane, loop)
        provenance = Provenance(
            self.name, summary.strip()[:_MAX_SUMMARY_CHARS], loop.meter.usage, refused=loop.tools.refused
        )
        return ExecutorResult(await workspace.result(), {TRANSCRIPT: transcript(loop.messages)}, provenance)

    def _model(self, names: Sequence[ModelName]) -> ChatModel:
        return self.model_for(list(map(str, names)))

    def _names(self, lane: Lane) -> tuple[ModelName, ...]:
        if not lane.models:
            raise UsageError(
                "no_model",
                f"lane {lane.name} names no model",
                'Add one to its file, as in: models: ["local/qwen3:8b"].',
            )
        names = tuple(map(ModelName.parse, lane.models))
        for name in names:
            if not name.is_anywhere and name.endpoint not in self.endpoints:
                known = ", ".join(sorted(self.endpoints)) or "none is configured"
                raise UsageError(
                    "no_endpoint",
                    f"lane {lane.name} names the endpoint {name.endpoint!r}, which is not in countersign.yaml",
                    f"Known: {known}. Add it under `models:`.",
                )
        return names


async def _within_time(lane: Lane, loop: AgentLoop) -> str:
    """The summary of the loop, within the lane's time; a failure has the transcript so far."""
    try:
        async with asyncio.timeout(lane.limits.wall_s):
            return await loop.run()
    except TimeoutError as error:
        message = f"The model of lane {lane.name} did not finish within {lane.limits.wall_s} s"
        mend = "Raise `wall_s` in the lane's limits, or ask for a smaller change."
        raise WorkError("timed_out", message, mend, artifacts={TRANSCRIPT: transcript(loop.messages)}) from error
    except TransientError:
        raise
    except BudgetSpentError as error:  # the work continues from its journal once the budget is extended
        error.artifacts = {TRANSCRIPT: transcript(loop.messages)}
        raise
    except PermanentError as error:
        problem, artifacts = error.problem, {TRANSCRIPT: transcript(loop.messages)}
        raise WorkError(problem.code, problem.message, problem.mend, artifacts=artifacts) from error


def transcript(messages: Sequence[ChatMessage]) -> bytes:
    """The whole conversation, one line of JSON for each message."""
    return b"".join(json.dumps(message.to_json(), ensure_ascii=True).encode() + b"\n" for message in messages)
