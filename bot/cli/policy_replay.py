"""The command policy replay: past decisions under a proposed policy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from bot.cards.safe import one_line, visible
from bot.cli.context import CliContext, json_option, parse_time, print_json, run
from bot.cli.policy_compare import policy_option

if TYPE_CHECKING:
    from core.rules.decision_replay import ReplayedDecision

_TITLES: Final = {
    "newly_allowed": "newly allowed",
    "newly_denied": "newly denied",
    "asks_first": "would ask first",
    "other_lane": "in another lane",
    "other_approvals": "with other approvals",
    "undecidable": "undecidable",
    "same": "the same",
}
_MOST_ROWS: Final = 20


@click.command()
@policy_option
@click.option("--since", metavar="T", help="Only tasks requested since then, such as 30d or 2026-01-31.")
@json_option
@click.pass_obj
def replay(context: CliContext, proposed: Path, since: str | None, as_json: bool) -> int:
    """Decide every past task again under a proposed policy, and show what would be different. Changes nothing."""
    from bot.configuration.policy_versions import proposed_snapshot

    begin = parse_time(since, past=True)

    async def work() -> int:
        counts: Counter[str] = Counter()
        rows: list[dict[str, Any]] = []
        async with context.open() as app:
            settings = proposed_snapshot(proposed, app.settings.snapshot()).settings
            async for decision in app.decision_replay.decisions(settings, begin):
                counts[decision.verdict.value] += 1
                if decision.verdict.value != "same":
                    rows.append(_document(decision))
        ordered = {name: counts[name] for name in _TITLES}
        print_json({"counts": ordered, "decisions": rows}) if as_json else _print(ordered, rows)
        return 0

    return run(work())


def _document(decision: ReplayedDecision) -> dict[str, Any]:
    """A decision that is different now, as JSON."""
    task, revision, after = decision.task, decision.revision, decision.after
    return {
        "task": task.number,
        "revision": revision.n,
        "title": task.title,
        "person": revision.author,
        "repo": task.repo,
        "verdict": decision.verdict.value,
        "reason": decision.reason,
        "before": {
            "lane": revision.lane,
            "rule": revision.rule,
            "terms": decision.before.to_json() if decision.before else None,
            "policy_digest": revision.policy_digest,
        },
        "after": {
            "effect": after.effect.value,
            "lane": after.lane,
            "rule": after.rule,
            "terms": after.requirements.to_json() if after.requirements else None,
        }
        if after
        else None,
    }


def _print(counts: Mapping[str, int], rows: Sequence[Mapping[str, Any]]) -> None:
    total = sum(counts.values())
    if not total:
        click.echo("There is no past task to decide again.")
        return
    click.echo(f"{total} past decisions: " + ", ".join(f"{n} {_TITLES[name]}" for name, n in counts.items() if n) + ".")
    for name, title in _TITLES.items():
        found = [row for row in rows if row["verdict"] == name]
        if not found:
            continue
        click.echo(f"\n{title.capitalize()}:")
        for row in found[:_MOST_ROWS]:
            number = f"#{row['task']}" if row["revision"] == 1 else f"#{row['task']}.{row['revision']}"
            click.echo(f"  {number} {visible(one_line(row['title'], 60))}, by {row['person']}: {visible(_change(row))}")
        if len(found) > _MOST_ROWS:
            click.echo(f"  and {len(found) - _MOST_ROWS} more; --json shows all")


def _change(row: Mapping[str, Any]) -> str:
    """What is different, in words."""
    before, after = row["before"], row["after"]
    if row["verdict"] == "other_lane":
        return f"{before['lane']}, now {after['lane']}"
    if row["verdict"] != "other_approvals":
        return str(row["reason"])
    was, now = (f"{terms['count']} of {', '.join(terms['approvers'])}" for terms in (before["terms"], after["terms"]))
    return f"{was}, now {now}" if was != now else f"{was}, with other conditions in rule {after['rule']}"
