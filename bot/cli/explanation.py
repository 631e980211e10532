"""Prints what policy decides about a request."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from core.model.decision import Effect

if TYPE_CHECKING:
    from core.model.errors import Problem
    from core.rules.planning import RequestPlan
    from core.settings import Settings


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


def print_explanation(plan: RequestPlan, title: str, trace: Sequence[str], *, as_json: bool) -> None:
    """Print what policy decides about a request, and its trace."""
    from bot.cli.context import print_json
    from bot.surfaces import terminal

    document = {"title": title, **explanation_of(plan), "trace": list(trace)}
    if as_json:
        print_json(document)
        return
    terminal.print_explained(sys.stdout, document)
    if obstacle := obstacle_of(plan):
        click.echo(f"But it would not run here: {obstacle.sentence()}")


def policy_line(plan: RequestPlan) -> str:
    """The decision in one line."""
    obstacle = obstacle_of(plan)
    but = f", but it would not run here: {obstacle.message}" if obstacle else ""
    return f"policy: {plan.decision.effect.value}: {plan.decision.reason}{but}"


def one_repository(settings: Settings, requested: str | None) -> str:
    """The requested repository, else the only one; raises `UsageError` if there are several."""
    from core.model.errors import UsageError

    name = requested or (next(iter(settings.repositories)) if len(settings.repositories) == 1 else None)
    if name is None:
        names = ", ".join(sorted(settings.repositories))
        raise UsageError("which_repository", "several repositories are configured", f"Add --repo: {names}.")
    settings.repository(name)
    return name
