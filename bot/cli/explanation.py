"""Prints what policy decides about a request."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from bot.interpret.explanation import explanation_of, obstacle_of

if TYPE_CHECKING:
    from core.rules.planning import RequestPlan


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
