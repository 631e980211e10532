"""Checking a request before it is kept for later: what could never succeed is refused when it is made."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from bot.configuration.config import Config
from bot.configuration.live_settings import LiveSettings
from core.model.decision import Decision, Effect, PolicyRequest
from core.model.errors import RefusedError, UsageError
from core.model.intent import Intent, Unclear
from core.model.lane import Lane
from core.model.turn import Turn
from core.model.workflow import first_wrong
from core.ports import Executor, InterpretationContext, LaneOffer
from core.services.schedules import PlannedRequest


class RequestSurroundings(Protocol):
    """What of an opened home (`bot.wiring.app.App`) decides about a request."""

    settings: LiveSettings

    @property
    def config(self) -> Config:
        """countersign.yaml as it is in force now."""

    def executors(self) -> Mapping[str, Executor]:
        """Every executor of this installation by name."""


@dataclass(frozen=True, slots=True)
class RequestCheck:
    """Judges a request as it would be judged if it were made now, without asking a model and without the network."""

    app: RequestSurroundings

    async def __call__(self, planned: PlannedRequest) -> None:
        """Raise `UsageError` for words that nobody understands, and `RefusedError` for what policy denies."""
        repo = self._repository(planned)
        intent = await self._read(planned, repo)
        decision = self._decide(planned, repo, intent)
        lane = self.app.settings().lane(decision.lane or "")
        wrong = first_wrong(lane.name, lane.parameters, planned.parameters)
        if wrong is not None:
            parameter, why = wrong
            raise UsageError("bad_parameter", why, parameter.mend())

    def _repository(self, planned: PlannedRequest) -> str:
        known = self.app.settings().repositories
        name = planned.repo or (next(iter(known)) if len(known) == 1 else None)
        if name is None:
            mend = f"Name it with --repo: {', '.join(sorted(known))}."
            raise UsageError("which_repository", "it is not clear which repository is meant", mend)
        return name

    async def _read(self, planned: PlannedRequest, repo: str) -> Intent:
        """The request as the grammar reads it; a text that only a model can read is taken as it stands."""
        lane = self.app.settings().lanes.get(planned.lane or "")
        if lane is not None and lane.executor != "edit":
            return Intent(planned.text)
        from bot.interpret import GrammarInterpreter

        turn = Turn(1, planned.person, planned.surface, planned.text, datetime.now(UTC), 1)
        offers = await asyncio.to_thread(self._offers, planned, repo)  # it may try a sandbox out
        read = await GrammarInterpreter().interpret([turn], InterpretationContext(repo, offers))
        if not isinstance(read, Unclear):
            return read
        if self.app.config.models().interpreter:
            return Intent(planned.text)
        mend = f"I can: {'; '.join(read.can)}." if read.can else "Say it in other words."
        raise UsageError("not_understood", read.reason.rstrip("."), mend)

    def _offers(self, planned: PlannedRequest, repo: str) -> tuple[LaneOffer, ...]:
        settings = self.app.settings()
        petition = PolicyRequest(planned.person, planned.surface, repo, (), planned.lane, deterministic=False)
        return tuple(self._offer(settings.lane(name)) for name in settings.policy.open_lanes(petition))

    def _offer(self, lane: Lane) -> LaneOffer:
        executor = self.app.executors().get(lane.executor)
        reads = executor is not None and executor.reads and executor.unavailable(lane) is None
        return LaneOffer(lane.name, lane.describe, lane.write, reads)

    def _decide(self, planned: PlannedRequest, repo: str, intent: Intent) -> Decision:
        by_rule = bool(intent.edits)
        petition = PolicyRequest(
            planned.person, planned.surface, repo, intent.paths(), planned.lane, deterministic=by_rule
        )
        decision = self.app.settings().policy.decide(petition)
        if decision.effect is Effect.ASK and decision.question is not None:
            mend = f"Name the lane: --lane {' or '.join(decision.question.options)}."
            raise UsageError("which_lane", decision.question.text, mend)
        if decision.effect is not Effect.ALLOW or decision.lane is None:
            mend = "See every rule's answer with `countersign policy explain`."
            raise RefusedError("refused_by_policy", decision.reason, mend)
        return decision
