"""The law: policy check and explain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from bot.cli.context import CliContext, as_option, json_option, run, say_json
from core.model.decision import Effect
from core.model.errors import Problem, UsageError

if TYPE_CHECKING:
    from bot.plugins.load import Plugins
    from bot.wiring.app import App
    from core.model.decision import Decision
    from core.model.intent import Intent
    from core.model.turn import Actor
    from core.ports import InterpretationContext
    from core.settings import Settings


@click.group()
def policy() -> None:
    """Check the policy, and ask it what it would say."""


@policy.command()
@json_option
@click.pass_obj
def check(door: CliContext, as_json: bool) -> int:
    """Read the whole configuration as `serve` does, secrets and plugins too, and name the first mistake."""
    from bot.configuration.live_settings import load_all
    from bot.plugins.load import Plugins
    from policies.rules import warnings

    home = door.home()
    settings, config, rules = load_all(home)
    config.check()
    _check_plugins(Plugins(config.plugins, home.state))
    warned = warnings(rules, config.people)
    if as_json:
        shown: dict[str, Any] = {"rules": [rule.name for rule in rules.rules], "lanes": sorted(settings.lanes)}
        say_json({**shown, "digest": settings.policy.digest, "warnings": warned})
        return 0
    click.echo(f"{home.policy}: {len(rules.rules)} rules over {len(settings.lanes)} lanes are sound.")
    for warning in warned:
        click.echo(f"warning: {warning}")
    return 0


def _check_plugins(plugins: Plugins) -> None:
    """Raise `UsageError` for the first enabled plugin that cannot be used."""
    for row in plugins.rows():
        if row["verdict"] == "fail":
            raise UsageError("plugin", f"{row['name']}: {row['detail']}", row["mend"])


@policy.command()
@click.argument("text")
@as_option
@click.option("--repo", metavar="NAME", help="In which repository.")
@click.option("--lane", metavar="LANE", help="In this lane, instead of policy's choice.")
@click.option("--with-model", is_flag=True, help="Let the configured model read what the grammar cannot.")
@json_option
@click.pass_obj
def explain(
    door: CliContext,
    text: str,
    person: str | None,
    repo: str | None,
    lane: str | None,
    with_model: bool,
    as_json: bool,
) -> int:
    """Say what policy would decide about a request, and why, rule by rule. Changes nothing."""
    from bot.cli.output import show_explanation
    from core.model.decision import PolicyRequest

    async def work() -> int:
        async with door.open() as app:
            from bot.cli.context import speaker

            actor = speaker(app, person)
            settings = app.settings()
            name = _one_repository(settings, repo)
            read = await _read(app, actor, text, name, lane, with_model=with_model)
            petition = PolicyRequest(
                actor.person or "", "terminal", name, read.paths(), lane, bool(read.edits), suggested=read.lane
            )
            decision = settings.policy.decide(petition)
            show_explanation(decision, read.title, _obstacle(app, decision), as_json=as_json)
            return 0

    return run(work())


def _one_repository(settings: Settings, asked: str | None) -> str:
    """The repository that is meant; raises `UsageError` when that is not clear."""
    name = asked or (next(iter(settings.repositories)) if len(settings.repositories) == 1 else None)
    if name is None:
        known = ", ".join(sorted(settings.repositories))
        raise UsageError("which_repository", "several repositories are configured", f"Add --repo: {known}.")
    settings.repository(name)
    return name


async def _read(app: App, actor: Actor, text: str, repository: str, lane: str | None, *, with_model: bool) -> Intent:
    """The request as the worker would read it; raises `UsageError` when it is not understood."""
    from datetime import UTC, datetime

    from bot.interpret import GrammarInterpreter
    from core.model.intent import Intent, Unclear
    from core.model.turn import Turn

    if not text.strip():
        raise UsageError("empty", "nothing was asked", "Give the request's text.")
    chosen = app.settings().lanes.get(lane) if lane else None
    if chosen is not None and chosen.executor != "edit":
        return Intent(text)
    reader = app.interpreter() if with_model else GrammarInterpreter()
    turn = Turn(1, actor.person or "", "terminal", text, datetime.now(UTC), 1)
    read = await reader.interpret([turn], _scene(app, actor, repository, lane))
    if isinstance(read, Unclear):
        mend = f"I can: {'; '.join(read.can)}." if read.can else ""
        mend = f"Say: {' | '.join(read.options)}" if read.options else mend
        raise UsageError("not_understood", read.reason, mend)
    return read


def _scene(app: App, actor: Actor, repository: str, lane: str | None) -> InterpretationContext:
    """The lanes on offer, as the worker's interpreter would see them on this machine."""
    from core.model.decision import PolicyRequest
    from core.ports import InterpretationContext, LaneOffer

    settings = app.settings()
    petition = PolicyRequest(actor.person or "", "terminal", repository, (), lane, deterministic=False)
    offers = []
    for found in map(settings.lane, settings.policy.open_lanes(petition)):
        executor = app.executors().get(found.executor)
        reads = executor is not None and executor.reads and executor.unavailable(found) is None
        offers.append(LaneOffer(found.name, found.describe, found.write, reads))
    store = app.repository(repository)

    async def files() -> Sequence[str]:
        return await store.paths(await store.fetch_base())

    async def read(path: str) -> bytes | None:
        return await store.read_path(await store.fetch_base(), path)

    return InterpretationContext(repository, tuple(offers), files, read=read)


def _obstacle(app: App, decision: Decision) -> Problem | None:
    """Why the lane that policy chose cannot run on this machine, if it cannot."""
    from lanes.wiring import missing_executor_problem

    if decision.effect is not Effect.ALLOW or decision.lane is None:
        return None
    lane = app.settings().lane(decision.lane)
    executor = app.executors().get(lane.executor)
    return missing_executor_problem(lane.executor) if executor is None else executor.unavailable(lane)


COMMANDS = (policy,)
