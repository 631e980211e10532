"""The law: policy check and explain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bot.cli.frame import Door, as_option, json_option, run, say_json
from core.decision import Effect
from core.errors import Problem, UsageError

if TYPE_CHECKING:
    from bot.app import App
    from core.decision import Decision


@click.group()
def policy() -> None:
    """Check the policy, and ask it what it would say."""


@policy.command()
@json_option
@click.pass_obj
def check(door: Door, as_json: bool) -> int:
    """Read the whole configuration and name the first mistake: file, line and key."""
    from bot.config import load_all
    from policies.rules import warnings

    home = door.home()
    settings, config, rules = load_all(home)
    warned = warnings(rules, config.people)
    if as_json:
        shown: dict[str, Any] = {"rules": [rule.name for rule in rules.rules], "lanes": sorted(settings.lanes)}
        say_json({**shown, "digest": settings.policy.digest, "warnings": warned})
        return 0
    click.echo(f"{home.policy}: {len(rules.rules)} rules over {len(settings.lanes)} lanes are sound.")
    for warning in warned:
        click.echo(f"warning: {warning}")
    return 0


@policy.command()
@click.argument("text")
@as_option
@click.option("--repo", metavar="NAME", help="In which repository.")
@click.option("--lane", metavar="LANE", help="In this lane, instead of policy's choice.")
@json_option
@click.pass_obj
def explain(door: Door, text: str, person: str | None, repo: str | None, lane: str | None, as_json: bool) -> int:
    """Say what policy would decide about a request, and why, rule by rule. Changes nothing."""
    from bot.cli.output import show_explanation
    from bot.interpret import GrammarInterpreter
    from core.decision import Petition
    from core.intent import Intent, Unclear
    from core.turn import Turn

    async def work() -> int:
        from datetime import UTC, datetime

        async with door.open() as app:
            from bot.cli.frame import speaker

            actor = speaker(app, person)
            settings = app.settings()
            name = repo or (next(iter(settings.repositories)) if len(settings.repositories) == 1 else None)
            if name is None:
                known = ", ".join(sorted(settings.repositories))
                raise UsageError("which_repository", "several repositories are configured", f"Add --repo: {known}.")
            settings.repository(name)
            if not text.strip():
                raise UsageError("empty", "nothing was asked", "Give the request's text.")
            turn = Turn(1, actor.person or "", "terminal", text, datetime.now(UTC), 1)
            chosen = settings.lanes.get(lane) if lane else None
            read: Intent | Unclear = Intent(text)
            if chosen is None or chosen.executor == "edit":
                read = await GrammarInterpreter().interpret([turn])
            if isinstance(read, Unclear):
                raise UsageError("not_understood", read.reason, f"I can: {'; '.join(read.can)}." if read.can else "")
            petition = Petition(actor.person or "", "terminal", name, read.paths(), lane, bool(read.edits))
            decision = settings.policy.decide(petition)
            show_explanation(decision, read.title, _obstacle(app, decision), as_json=as_json)
            return 0

    return run(work())


def _obstacle(app: App, decision: Decision) -> Problem | None:
    """Why the lane that policy chose cannot run on this machine, if it cannot."""
    from lanes.executors.registry import executors, missing_executor

    if decision.effect is not Effect.ALLOW or decision.lane is None:
        return None
    lane = app.settings().lane(decision.lane)
    executor = executors(app.home.scratch).get(lane.executor)
    return missing_executor(lane.executor) if executor is None else executor.unavailable(lane)


COMMANDS = (policy,)
