"""The command policy test: decides the cases of a file, and records new ones from past tasks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from bot.cards.safe import one_line, visible
from bot.cli.context import CliContext, json_option, print_json, run
from core.model.errors import PermanentError, UsageError

if TYPE_CHECKING:
    from bot.wiring.app import App
    from policies.cases import CaseReport

_FILE: Final = "policy_tests.yaml"


@click.command()
@click.option(
    "--cases",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"The file of cases; the default is {_FILE} in the home.",
)
@click.option("--record", type=int, metavar="N", help="Add the decision on task N to the file as a case.")
@json_option
@click.pass_obj
def test(context: CliContext, file: Path | None, record: int | None, as_json: bool) -> int:
    """Decide every case of a file as policy would, and exit with 1 unless all are decided as the file says."""
    path = file or context.home().root / _FILE

    async def work() -> int:
        from bot.configuration.policy_versions import version_of
        from policies.cases import check_cases

        async with context.open() as app:
            version = version_of(app.settings.snapshot(), app.executors())
            text = _content(path, may_be_missing=record is not None)
            if record is not None:
                text += await _recorded(app, record)
            report = check_cases(text, path, version)  # before it is written: no mistake gets into the file
            if record is not None:
                path.write_bytes(text)
        print_json(_document(report, path)) if as_json else _print(report, path)
        return 0 if report.has_passed else 1

    return run(work())


def _content(path: Path, *, may_be_missing: bool) -> bytes:
    """The content of the file of cases, ending in a line break; a beginning if it may be missing."""
    try:
        return path.read_bytes().rstrip(b"\n") + b"\n"
    except FileNotFoundError as error:
        if may_be_missing:
            return b"version: 1\ncases:\n"
        mend = "Write it as docs/policy.md shows, or record a task: countersign policy test --record N."
        raise UsageError("no_cases", f"{path} does not exist", mend) from error


async def _recorded(app: App, number: int) -> bytes:
    """The decision on a task as a case; raises `PermanentError` if it cannot be decided again."""
    from policies.case_text import case_text

    replayed = await app.decision_replay.decision(app.settings(), number)
    if replayed.after is None:
        raise PermanentError("undecidable", f"#{number} cannot be decided again: {replayed.reason}")
    return case_text(replayed, replayed.after).encode()


def _document(report: CaseReport, path: Path) -> dict[str, Any]:
    return {
        "file": str(path),
        "cases": [
            {
                "name": result.name,
                "line": result.line,
                "passed": not result.differences,
                "differences": list(result.differences),
                "effect": result.decision.effect.value,
                "lane": result.decision.lane,
                "rule": result.decision.rule,
                "reason": result.decision.reason,
            }
            for result in report.results
        ],
        "coverage": {
            "percent": report.percent,
            "required": report.required_percent,
            "unreached": list(report.unreached),
        },
    }


def _print(report: CaseReport, path: Path) -> None:
    failed = [result for result in report.results if result.differences]
    for result in failed:
        click.echo(f"{path}:{result.line}: {visible(one_line(result.name, 200))}")
        for difference in result.differences:
            click.echo(f"  {visible(difference)}")
        click.echo(f"  because {visible(result.decision.reason)}")
    passed = len(report.results) - len(failed)
    click.echo(f"{passed} of {len(report.results)} cases are decided as expected.")
    click.echo(f"{report.rules - len(report.unreached)} of {report.rules} rules decide a case.")
    if report.unreached:
        click.echo(f"No case reaches {', '.join(report.unreached)}.")
    if report.percent < report.required_percent:
        click.echo(f"That is {report.percent}%; {path.name} requires {report.required_percent}%.")
