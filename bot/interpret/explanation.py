"""Explains what policy would decide about a request, without making it."""

from __future__ import annotations

from typing import Any

from core.model.decision import Effect
from core.model.errors import Problem, UsageError
from core.model.intent import Intent, Unclear
from core.model.turn import Actor
from core.ports.interpretation import Interpreter
from core.rules.planning import RequestOrigin, RequestPlan
from core.rules.visibility import visibility_of, visible_names
from core.services.request_checks import requested_repository
from core.services.request_preview import RequestPreview
from core.settings import Settings


async def read_request(preview: RequestPreview, origin: RequestOrigin, text: str, interpreter: Interpreter) -> Intent:
    """Interpret a request as a worker would; raises `UsageError` if it is not understood."""
    interpretation = await preview.read(origin, text, interpreter)
    if isinstance(interpretation, Unclear):
        mend = f"I can: {'; '.join(interpretation.can)}." if interpretation.can else ""
        mend = f"Say: {' | '.join(interpretation.options)}" if interpretation.options else mend
        raise UsageError("not_understood", interpretation.reason, mend)
    return interpretation


def explanation_of(plan: RequestPlan) -> dict[str, Any]:
    """The decision as JSON: effect, requirements, and why no worker can run the lane, if so."""
    decision, obstacle = plan.decision, obstacle_of(plan)
    return {
        "effect": decision.effect.value,
        "rule": decision.rule,
        "lane": decision.lane,
        "reason": decision.reason,
        "question": decision.question.to_json() if decision.question else None,
        "terms": plan.requirements.to_json() if plan.requirements else None,
        "policy_digest": decision.policy_digest,
        "obstacle": obstacle.to_json() if obstacle else None,
    }


def obstacle_of(plan: RequestPlan) -> Problem | None:
    """Why a request that policy allows cannot run."""
    return plan.problem if plan.decision.effect is Effect.ALLOW else None


def one_repository(settings: Settings, actor: Actor, requested: str | None) -> str:
    """The requested repository, else the only one for `actor`; raises `UsageError` if there are several."""
    name = requested_repository(settings, actor, requested)
    if name is None:
        names = ", ".join(visible_names(settings, visibility_of(settings, actor)))
        raise UsageError("which_repository", "several repositories are configured", f"Add --repo: {names}.")
    return name
