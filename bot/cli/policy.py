"""The commands policy check and policy explain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bot.cli.context import SURFACE, CliContext, as_option, json_option, print_json, run
from core.model.errors import UsageError

if TYPE_CHECKING:
    from bot.plugins.load import Plugins
    from bot.wiring.app import App
    from core.model.intent import Intent
    from core.rules.planning import RequestOrigin


@click.group()
def policy() -> None:
    """Check the policy, and explain what it decides."""


@policy.command()
@json_option
@click.pass_obj
def check(context: CliContext, as_json: bool) -> int:
    """Check the whole configuration as `serve` does, including secrets and plugins, and show the first mistake."""
    from bot.configuration.live_settings import load_snapshot
    from bot.plugins.load import Plugins
    from policies.rules import warnings

    home = context.home()
    snapshot = load_snapshot(home)
    settings, config, rules = snapshot.settings, snapshot.config, snapshot.rules
    config.check()
    _check_plugins(Plugins(config.plugins, home.state))
    warned = warnings(rules, config.people)
    if as_json:
        document: dict[str, Any] = {"rules": [rule.name for rule in rules.rules], "lanes": sorted(settings.lanes)}
        print_json({**document, "digest": settings.policy.digest, "warnings": warned})
        return 0
    click.echo(f"{home.policy}: {len(rules.rules)} rules for {len(settings.lanes)} lanes are valid.")
    for warning in warned:
        click.echo(f"warning: {warning}")
    return 0


def _check_plugins(plugins: Plugins) -> None:
    """Raise `UsageError` for the first enabled plugin that does not work."""
    for row in plugins.doctor_rows():
        if row["verdict"] == "fail":
            raise UsageError("plugin", f"{row['name']}: {row['detail']}", row["mend"])


@policy.command()
@click.argument("text")
@as_option
@click.option("--repo", metavar="NAME", help="The repository.")
@click.option("--lane", metavar="LANE", help="The lane; the default is policy's choice.")
@click.option("--with-model", is_flag=True, help="Let the configured model interpret what the grammar cannot.")
@json_option
@click.pass_obj
def explain(
    context: CliContext,
    text: str,
    person: str | None,
    repo: str | None,
    lane: str | None,
    with_model: bool,
    as_json: bool,
) -> int:
    """Show what policy would decide about a request, and why, rule by rule. Changes nothing."""
    from bot.cli.context import speaker
    from bot.cli.explanation import one_repository, print_explanation
    from core.rules.planning import RequestOrigin
    from core.services.request_checks import checked_text

    async def work() -> int:
        async with context.open() as app:
            actor, settings = speaker(app, person), app.settings()
            origin = RequestOrigin(actor.person or "", SURFACE, one_repository(settings, repo), lane)
            intent = await _read(app, origin, checked_text(text), with_model=with_model)
            plan = await app.preview.plan(origin, intent)
            print_explanation(plan, intent.title, settings.policy.trace(plan.request), as_json=as_json)
            return 0

    return run(work())


async def _read(app: App, origin: RequestOrigin, text: str, *, with_model: bool) -> Intent:
    """Interpret the request as a worker would; raises `UsageError` if it is not understood."""
    from bot.interpret import GrammarInterpreter
    from core.model.intent import Unclear

    interpreter = app.interpreter() if with_model else GrammarInterpreter()
    interpretation = await app.preview.read(origin, text, interpreter)
    if isinstance(interpretation, Unclear):
        mend = f"I can: {'; '.join(interpretation.can)}." if interpretation.can else ""
        mend = f"Say: {' | '.join(interpretation.options)}" if interpretation.options else mend
        raise UsageError("not_understood", interpretation.reason, mend)
    return interpretation


COMMANDS = (policy,)
