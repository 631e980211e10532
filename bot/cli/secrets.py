"""The command secrets: what the guard's check of secrets finds in files, with fingerprints for the baseline."""

from __future__ import annotations

from pathlib import Path

import click

from bot.cli.context import json_option, print_json


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def secrets(files: tuple[Path, ...], as_json: bool) -> int:
    """List the secrets in FILES as the guard finds them, each with its fingerprint.

    A fingerprint in the file secrets.baseline of the home lets that secret pass, wherever it is. The secrets themselves
    are not printed. Exits with 4 if a secret would block a change.
    """
    from bot.cards.safe import one_line
    from core.model.errors import Kind
    from policies.secrets import scan

    found = [(str(path), leak) for path in files for leak in scan(path.read_bytes()).new if not leak.sealed]
    if as_json:
        print_json(
            [
                {"path": path, "rule": leak.rule, "line": leak.line, "blocks": leak.certain,
                 "example": leak.example or None, "fingerprint": leak.fingerprint}
                for path, leak in found
            ]
        )  # fmt: skip
    else:
        for path, leak in found:
            verdict = "blocks" if leak.certain else f"passes: {leak.example}" if leak.example else "warns"
            click.echo(f"{one_line(path, 200)}: {leak.sentence()}, {verdict}\n  {leak.fingerprint}")
        if not found:
            click.echo("No secrets found.")
    return Kind.BLOCKED.exit_code if any(leak.certain for _, leak in found) else 0


COMMANDS = (secrets,)
