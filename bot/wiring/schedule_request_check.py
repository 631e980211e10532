"""Checks a recurring request when it is created, so that one that could never succeed is refused at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bot.configuration.config import Config
from bot.configuration.live_settings import LiveSettings
from core.model.errors import RefusedError, UsageError
from core.model.intent import Intent, Unclear
from core.model.lane import Lane
from core.model.role import Role
from core.model.workflow import first_invalid
from core.rules.planning import RequestOrigin
from core.services.request_preview import RequestPreview
from core.services.schedules import PlannedRequest


class RequestSurroundings(Protocol):
    """The part of an opened home (`bot.wiring.app.App`) that `RequestCheck` needs."""

    settings: LiveSettings

    @property
    def config(self) -> Config:
        """countersign.yaml in force now."""

    @property
    def preview(self) -> RequestPreview:
        """The plan for a request, without making it."""


@dataclass(frozen=True, slots=True)
class RequestCheck:
    """Checks a request as if it were made now, without calling a model or using the network.

    A lane that no worker can run now is accepted, because the request is made later.
    """

    app: RequestSurroundings

    async def __call__(self, planned: PlannedRequest) -> None:
        """Raise `UsageError` for a request that is not understood, and `RefusedError` for one that policy denies."""
        origin = RequestOrigin(planned.person, planned.surface, self._repository(planned), planned.lane)
        lane = await self._lane(origin, await self._read(origin, planned.text))
        invalid = first_invalid(lane.name, lane.parameters, planned.parameters)
        if invalid is not None:
            parameter, why = invalid
            raise UsageError("bad_parameter", why, parameter.mend())

    def _repository(self, planned: PlannedRequest) -> str:
        settings = self.app.settings()
        may = settings.people.seen_by(planned.person, Role.REQUESTER)
        repositories = sorted(name for name in settings.repositories if may.covers(name))
        name = planned.repo or (repositories[0] if len(repositories) == 1 else None)
        if name is None:
            mend = f"Name it with --repo: {', '.join(repositories) or 'there is none for you'}."
            raise UsageError("which_repository", "it is not clear which repository is meant", mend)
        return name

    async def _read(self, origin: RequestOrigin, text: str) -> Intent:
        """Interpret the request with the grammar; a text that needs a model is accepted as it is."""
        from bot.interpret import GrammarInterpreter

        interpretation = await self.app.preview.read(origin, text, GrammarInterpreter(), with_files=False)
        if not isinstance(interpretation, Unclear):
            return interpretation
        if self.app.config.models().interpreter:
            return Intent(text)
        mend = f"I can: {'; '.join(interpretation.can)}." if interpretation.can else "Use other words."
        raise UsageError("not_understood", interpretation.reason.rstrip("."), mend)

    async def _lane(self, origin: RequestOrigin, intent: Intent) -> Lane:
        """The lane of the request; raises `UsageError` if policy would ask which one."""
        plan = await self.app.preview.plan(origin, intent, later=True)
        if plan.question is not None:
            mend = f"Name the lane: --lane {' or '.join(plan.question.options)}."
            raise UsageError("which_lane", plan.question.text, mend)
        if plan.problem is not None:
            mend = "See what each rule decides with `countersign policy explain`."
            raise RefusedError("refused_by_policy", plan.problem.message, mend)
        return self.app.settings().lane(plan.decision.lane or "")
