"""Proof: verify."""

from __future__ import annotations

from pathlib import Path

import click

from bot.cli.context import NUMBER, CliContext, json_option, print_json, run


@click.command()
@click.argument("number", type=NUMBER)
@click.option("--repo-path", type=click.Path(path_type=Path), metavar="CLONE", help="Check this clone.")
@json_option
@click.pass_obj
def verify(context: CliContext, number: int, repo_path: Path | None, as_json: bool) -> int:
    """Prove, without asking anybody, that what was published is what was countersigned."""
    from bot.cli.output import print_checks
    from bot.operations.verify import verify_task

    clone = repo_path.expanduser().absolute() if repo_path else None

    async def work() -> int:
        async with context.open() as app:
            checks = await verify_task(app, number, clone)
            sound = all(check["verdict"] != "fail" for check in checks)
            if as_json:
                print_json({"task": number, "verified": sound, "checks": checks})
            else:
                title = f"#{number} is proven" if sound else f"#{number} is NOT proven"
                print_checks(title, checks)
            return 0 if sound else 1

    return run(work())


COMMANDS = (verify,)
