"""Registers all commands, in the order in which people use them, and prints their errors."""

from __future__ import annotations

import errno
import os
from typing import Any

import click

from bot.cli import (
    accounts,
    audit,
    authenticators,
    decisions,
    home,
    interrupted,
    interruption,
    inventory,
    lanes,
    mcp,
    models,
    passkeys,
    people,
    picking,
    plugins,
    policy,
    queue,
    queue_control,
    requests,
    running,
    schedules,
    secrets,
    sim,
    stats,
    tokens,
    verify,
    web,
    weights,
)
from bot.cli.context import CliContext, print_problem
from bot.cli.demo import demo
from core.model.errors import CountersignError, Kind, Problem

VERSION = "0.1.0"
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Sections(click.Group):
    """Lists commands in the order of use rather than of the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """The commands as they were added."""
        return list(self.commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name; with --server the one that drives the server."""
        command = super().get_command(ctx, cmd_name)
        if command is None or not ctx.params.get("server"):
            return command
        from bot.cli.remote.commands import remote_command

        return remote_command(command)


@click.group(cls=Sections, context_settings=CONTEXT)
@click.option("--home", metavar="DIR", help="The home directory (default: COUNTERSIGN_HOME, ./.countersign, ...).")
@click.option("--server", metavar="URL", help="Drive the API of this server instead of a home on this machine.")
@click.option("--token-file", metavar="FILE", help="The file with the token for --server (default: COUNTERSIGN_TOKEN).")
@click.version_option(VERSION, prog_name="countersign")
@click.pass_context
def countersign(ctx: click.Context, home: str | None, server: str | None, token_file: str | None) -> None:
    """Ask for a change, countersign the exact bytes, get a pull request."""
    if server is not None and home is not None:
        raise click.UsageError("--home and --server exclude each other; use one of them.")
    ctx.obj = CliContext(home, server, token_file)


GROUPS = (
    requests,
    picking,
    decisions,
    schedules,
    running,
    queue,
    queue_control,
    stats,
    web,
    accounts,
    authenticators,
    passkeys,
    inventory,
    people,
    tokens,
    mcp,
    policy,
    secrets,
    lanes,
    models,
    plugins,
    sim,
    weights,
    verify,
    audit,
    home,
)
for group in GROUPS:
    for command in group.COMMANDS:
        countersign.add_command(command)
countersign.add_command(demo)


def call(argv: list[str]) -> int:
    """Run one command line; returns the exit status of contract.md, and never prints a traceback."""
    as_json = "--json" in argv
    interruption.on_interrupt()
    try:
        _check_words(argv)
        result: Any = countersign.main(argv, prog_name="countersign", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return Kind.USAGE.exit_code
    except click.ClickException as error:
        return print_problem(_usage(error), as_json=as_json)
    except (KeyboardInterrupt, click.Abort):
        return interrupted()
    except (BrokenPipeError, SystemExit):  # the reader of our output closed it; click raises SystemExit for that
        return 0
    except Exception as error:
        if os.environ.get("COUNTERSIGN_LOG", "").upper() == "DEBUG":
            raise
        return print_problem(_problem_of(error), as_json=as_json)


def _problem_of(error: BaseException) -> Problem:
    """An unexpected exception as a problem that a person can act on."""
    if isinstance(error, BaseExceptionGroup):  # the first failure in a task group cancelled the others
        return _problem_of(error.exceptions[0])
    if isinstance(error, CountersignError):
        return error.problem
    if isinstance(error, OSError):
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return Problem(Kind.UNAVAILABLE, "disk_full", "The disk is full", "Free some disk space; nothing was lost.")
        where = f"{error.filename}: " if error.filename else ""
        return Problem(Kind.UNAVAILABLE, "os_error", f"{where}{error.strerror or error}", "Fix it and try again.")
    return Problem(
        Kind.FAILED,
        "bug",
        f"Countersign failed unexpectedly: {type(error).__name__}: {error}"[:500],
        "Please report this; COUNTERSIGN_LOG=DEBUG shows the traceback.",
    )


def _check_words(argv: list[str]) -> None:
    """Raise `click.UsageError` for bytes that are not text in the terminal's encoding."""
    for word in argv:
        if any(0xD800 <= ord(char) <= 0xDFFF for char in word):
            raise click.UsageError(f"{word[:80]!r} is not valid UTF-8; type it again.")


def _usage(error: click.ClickException) -> Problem:
    message = " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    mend = f"See `{context.command_path} --help`." if context is not None else "See `countersign --help`."
    return Problem(Kind.USAGE, "usage", message, mend)
