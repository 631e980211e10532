"""The command verify."""

from __future__ import annotations

from pathlib import Path

import click

from bot.cli.context import NUMBER, CliContext, json_option, print_json, run
from core.model.errors import UsageError


@click.command()
@click.argument("number", type=NUMBER)
@click.option("--repo-path", type=click.Path(path_type=Path), metavar="CLONE", help="Check this clone.")
@click.option(
    "--passkey",
    "passkey_files",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="Prove the approvals by these people's public keys, instead of by the home's word.",
)
@json_option
@click.pass_obj
def verify(
    context: CliContext, number: int, repo_path: Path | None, passkey_files: tuple[Path, ...], as_json: bool
) -> int:
    """Prove offline that what was published is what was approved."""
    from bot.cli.output import print_checks
    from bot.verification.passkey_check import read_trusted
    from bot.verification.verify import verify_task

    trusted = [passkey for path in passkey_files for passkey in read_trusted(path)]
    if passkey_files and not trusted:
        raise UsageError("no_passkeys", "the files of --passkey name no passkey", "Name the approvers' files.")
    clone = repo_path.expanduser().absolute() if repo_path else None

    async def work() -> int:
        async with context.open() as app:
            checks = await verify_task(app, number, clone, trusted)
            is_proven = all(check["verdict"] != "fail" for check in checks)
            if as_json:
                print_json({"task": number, "verified": is_proven, "checks": checks})
            else:
                title = f"#{number} is proven" if is_proven else f"#{number} is NOT proven"
                print_checks(title, checks)
            return 0 if is_proven else 1

    return run(work())


COMMANDS = (verify,)
