"""The command verify."""

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
    """Prove offline that what was published is what was approved."""
    from bot.cli.output import print_checks
    from bot.verification.verify import verify_task

    clone = repo_path.expanduser().absolute() if repo_path else None

    async def work() -> int:
        async with context.open() as app:
            checks = await verify_task(app, number, clone)
            is_proven = all(check["verdict"] != "fail" for check in checks)
            if as_json:
                print_json({"task": number, "verified": is_proven, "checks": checks})
            else:
                title = f"#{number} is proven" if is_proven else f"#{number} is NOT proven"
                print_checks(title, checks)
            return 0 if is_proven else 1

    return run(work())


COMMANDS = (verify,)
