"""The command pick: lists the parts of a staged diff, and keeps only some of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from bot.cards.parts import revision_label
from bot.cards.safe import visible
from bot.cli.context import NUMBER, CliContext, as_option, json_option, print_json, run, speaker
from bot.cli.following import follow, wait_option
from bot.cli.interruption import GOES_ON, on_interrupt, uninterrupted
from core.model.errors import UsageError
from core.model.staged_diff import short_digest

if TYPE_CHECKING:
    from core.model.part_choice import PartChoice


@click.command()
@click.argument("number", type=NUMBER)
@click.argument("selection", metavar="[WHAT]", default="")
@click.option("--file", "files", multiple=True, metavar="PATH", help="A whole file; may be repeated.")
@click.option("--hunk", "hunks", multiple=True, metavar="ID", help="A part by its id; may be repeated.")
@click.option("--leave-out", "leaves_out", is_flag=True, help="Keep everything except what --file and --hunk name.")
@click.option("--digest", metavar="DIGEST", help="Refuse if this is not the current diff (20 digits or more).")
@as_option
@wait_option
@json_option
@click.pass_obj
def pick(
    context: CliContext,
    number: int,
    selection: str,
    files: tuple[str, ...],
    hunks: tuple[str, ...],
    leaves_out: bool,
    digest: str | None,
    person: str | None,
    wait: bool,
    as_json: bool,
) -> int:
    """Keep only some hunks or files of the staged diff: "1,3-5", "docs/a.md", "not 2"; without any, list them."""
    on_interrupt(f"#{number} is as it was")
    choice = choice_of(selection, (*files, *hunks), leaves_out=leaves_out)

    async def work() -> int:
        async with context.open() as app:
            if choice is None:
                print_parts((await app.partial_changes.parts_of(number)).to_json(), as_json=as_json)
                return 0
            revised = app.partial_changes.pick(number, choice, speaker(app, person), digest)
            await uninterrupted(revised, lambda _: f"your selection from #{number} is saved and {GOES_ON}")
            return await follow(app, number, wait=wait, as_json=as_json)

    return run(work())


COMMANDS = (pick,)


def choice_of(words: str, names: tuple[str, ...], *, leaves_out: bool) -> PartChoice | None:
    """What the arguments name; None if they name nothing. Raises `UsageError` for arguments that do not fit."""
    from core.model.part_choice import PartChoice

    if leaves_out and not names:
        raise UsageError("bad_pick", "--leave-out names nothing", "Add --file PATH or --hunk ID, or write: not 2.")
    if words and names:
        raise UsageError("bad_pick", "parts are named in two ways", "Give WHAT, or --file and --hunk.")
    return PartChoice(words, names, leaves_out) if words or names else None


def print_parts(listed: Mapping[str, Any], *, as_json: bool) -> None:
    """List the parts of `StagedParts.to_json` with their ids, and the digest that they belong to."""
    if as_json:
        print_json(listed)
        return
    parts = listed["parts"]
    label, plural = revision_label(listed["task"], listed["revision"]), "" if len(parts) == 1 else "s"
    click.echo(f"{label}, diff {short_digest(listed['digest'])}: {len(parts)} part{plural}")
    for part in parts:
        click.echo(f"  {visible(part['label'])}  {part['id']}")
