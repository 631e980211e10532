"""The demo: takes one request to a pull request in a temporary repository, with the commands a person would type."""

from __future__ import annotations

import shlex
import shutil
import sys
import tempfile
from pathlib import Path

import click

from bot.web.setup.sample import FIRST_REQUEST, make_sample
from core.model.errors import PermanentError


@click.command()
@click.option("--yes", is_flag=True, help="Ask nothing.")
def demo(yes: bool) -> int:
    """Take one request to a pull request, in a temporary repository and home."""
    root = _fresh_directory()
    remote, home = root / "web.git", root / "home"
    make_sample(remote, "web")
    walk = _Walk(home)
    walk.say("A repository and two people: ana is a member, lee a maintainer. The starter policy applies.")
    walk.run("init", "--repo", f"web={remote}", "--person", "ana:member", "--person", "lee:maintainer")
    walk.say("ana asks for a change in plain English. Policy picks the lane, the guard judges the result.")
    walk.run("ask", FIRST_REQUEST, "--as", "ana", "--wait")
    digest = _digest_of(home)
    walk.say("ana cannot approve her own request. The digest identifies the exact bytes.")
    walk.run("approve", "1", digest, "--as", "ana", expect=3)
    if not yes and sys.stdin.isatty() and not click.confirm(f"\nCountersign {digest} as lee?", default=True):
        walk.run("reject", "1", "--reason", "not today", "--as", "lee")
        click.echo("\nNothing reached the repository.")
        return 0
    walk.say("lee countersigns. Only now is a branch pushed and a pull request opened.")
    walk.run("approve", "1", digest, "--as", "lee", "--wait")
    walk.say("Anyone can check afterwards that what was published is what lee approved.")
    walk.run("verify", "1")
    walk.say("Some files are protected in every lane.")
    walk.run("ask", "delete .github/workflows/ci.yml", "--as", "ana", "--wait", expect=3)
    click.echo(f"\nLook further:\n  export COUNTERSIGN_HOME={shlex.quote(str(home))}")
    for command in ("show 1 --diff", "merge 1", "events --task 1", "doctor"):
        click.echo(f"  {_program()} {command}")
    return 0


class _Walk:
    """Prints each command as it would be typed, and runs it in this process."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def say(self, text: str) -> None:
        click.echo("")
        click.secho(f"# {text}", fg="cyan")

    def run(self, *argv: str, expect: int = 0) -> None:
        from bot.cli import call

        command_line = shlex.join(argv).replace("'", '"')
        click.secho(f"$ countersign {command_line}", bold=True)
        sys.stdout.flush()
        code = call(["--home", str(self._home), *argv])
        if code != expect:
            raise PermanentError("demo_failed", f"countersign {argv[0]} ended with {code}, {expect} was expected")


def _fresh_directory() -> Path:
    """An empty directory for the demo; replaces the previous demo's."""
    from platformdirs import user_cache_path

    directory = user_cache_path("countersign", appauthor=False) / "demo"
    try:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
    except OSError:
        directory = Path(tempfile.mkdtemp(prefix="countersign-demo-"))
    return directory


def _digest_of(home: Path) -> str:
    import asyncio

    from bot.configuration.home import Home
    from bot.wiring.app import opened
    from core.model.staged_diff import short_digest

    async def first_digest() -> str:
        async with opened(Home(home)) as app:
            staged = (await app.documents.document(1)).task.staged
            if staged is None:
                raise PermanentError("demo_failed", "the demo's request was not staged")
            return short_digest(staged.digest)

    return asyncio.run(first_digest())


def _program() -> str:
    program = Path(sys.argv[0])
    return str(program) if program.name.startswith("countersign") else "countersign"
