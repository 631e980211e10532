"""The commands about the policy; those that compare and ask in reverse are in `bot.cli.policy_compare`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bot.cli.context import SURFACE, CliContext, as_option, json_option, print_json, run
from bot.cli.policy_cases import test
from bot.cli.policy_compare import can, diff, who
from bot.cli.policy_replay import replay
from core.model.errors import UsageError

if TYPE_CHECKING:
    from bot.plugins.load import Plugins


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
    from bot.cli.explanation import print_explanation
    from bot.interpret import GrammarInterpreter
    from bot.interpret.explanation import one_repository, read_request
    from core.rules.planning import RequestOrigin
    from core.services.request_checks import checked_text

    async def work() -> int:
        async with context.open() as app:
            actor, settings = speaker(app, person), app.settings()
            origin = RequestOrigin(actor.person or "", SURFACE, one_repository(settings, actor, repo), lane)
            interpreter = app.interpreter() if with_model else GrammarInterpreter()
            intent = await read_request(app.preview, origin, checked_text(text), interpreter)
            plan = await app.preview.plan(origin, intent)
            print_explanation(plan, intent.title, settings.policy.trace(plan.request), as_json=as_json)
            return 0

    return run(work())


for _command in (test, who, can, diff, replay):
    policy.add_command(_command)

COMMANDS = (policy,)
