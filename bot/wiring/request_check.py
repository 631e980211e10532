"""Checking a request before it is kept for later: what could never succeed is refused when it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bot.configuration.config import Config
from bot.configuration.live_settings import LiveSettings
from core.model.errors import RefusedError, UsageError
from core.model.intent import Intent, Unclear
from core.model.lane import Lane
from core.model.workflow import first_wrong
from core.rules.planning import RequestOrigin
from core.services.request_preview import RequestPreview
from core.services.schedules import PlannedRequest


class RequestSurroundings(Protocol):
    """What of an opened home (`bot.wiring.app.App`) decides about a request."""

    settings: LiveSettings

    @property
    def config(self) -> Config:
        """countersign.yaml as it is in force now."""

    @property
    def preview(self) -> RequestPreview:
        """What would become of a request."""


@dataclass(frozen=True, slots=True)
class RequestCheck:
    """Judges a request as it would be judged if it were made now, without asking a model and without the network.

    That no worker can work in its lane now is no reason to refuse it: it is made later.
    """

    app: RequestSurroundings

    async def __call__(self, planned: PlannedRequest) -> None:
        """Raise `UsageError` for words that nobody understands, and `RefusedError` for what policy denies."""
        origin = RequestOrigin(planned.person, planned.surface, self._repository(planned), planned.lane)
        lane = await self._lane(origin, await self._read(origin, planned.text))
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

    async def _read(self, origin: RequestOrigin, text: str) -> Intent:
        """The request as the grammar reads it; a text that only a model can read is taken as it stands."""
        from bot.interpret import GrammarInterpreter

        read = await self.app.preview.read(origin, text, GrammarInterpreter(), with_files=False)
        if not isinstance(read, Unclear):
            return read
        if self.app.config.models().interpreter:
            return Intent(text)
        mend = f"I can: {'; '.join(read.can)}." if read.can else "Say it in other words."
        raise UsageError("not_understood", read.reason.rstrip("."), mend)

    async def _lane(self, origin: RequestOrigin, intent: Intent) -> Lane:
        """The lane that the request would take; raises `UsageError` while that has to be asked."""
        plan = await self.app.preview.plan(origin, intent, later=True)
        if plan.question is not None:
            mend = f"Name the lane: --lane {' or '.join(plan.question.options)}."
            raise UsageError("which_lane", plan.question.text, mend)
        if plan.problem is not None:
            mend = "See every rule's answer with `countersign policy explain`."
            raise RefusedError("refused_by_policy", plan.problem.message, mend)
        return self.app.settings().lane(plan.decision.lane or "")
