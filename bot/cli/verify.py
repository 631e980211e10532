"""The command verify."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.cli.context import NUMBER, CliContext, json_option, print_json, run
from core.model.errors import UsageError

if TYPE_CHECKING:
    from core.model.passkey import TrustedPasskey


class TaskOrFile(click.ParamType[int | Path]):
    """The number of a task, else the path of a receipt."""

    name = "task or file"

    def convert(self, value: str | int | Path, param: click.Parameter | None, ctx: click.Context | None) -> int | Path:
        """A number is a task's; a file with such a name is ./NAME."""
        if isinstance(value, int) or (str(value).isascii() and str(value).lstrip("-").isdigit()):
            return int(NUMBER.convert(int(str(value)), param, ctx))
        return Path(value)


@click.command()
@click.argument("subject", metavar="NUMBER|FILE", type=TaskOrFile())
@click.option("--repo-path", type=click.Path(path_type=Path), metavar="CLONE", help="Check this clone.")
@click.option(
    "--passkey",
    "--keys",
    "passkey_files",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="Prove the approvals by these people's public keys, instead of by the home's word.",
)
@click.option(
    "--home-key",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With a receipt's FILE: the public key of the home that signed it.",
)
@json_option
@click.pass_obj
def verify(
    context: CliContext,
    subject: int | Path,
    repo_path: Path | None,
    passkey_files: tuple[Path, ...],
    home_key: Path | None,
    as_json: bool,
) -> int:
    """Prove offline that what was published is what was approved.

    NUMBER is a task of the home. FILE is a receipt, which is checked without any home, by the keys that you give.
    """
    from bot.verification.passkey_check import read_trusted

    trusted = [passkey for path in passkey_files for passkey in read_trusted(path)]
    if passkey_files and not trusted:
        raise UsageError("no_passkeys", "the files of --passkey name no passkey", "Name the approvers' files.")
    clone = repo_path.expanduser().absolute() if repo_path else None
    if isinstance(subject, Path):
        return run(_verify_file(subject, trusted, home_key, clone, as_json=as_json))
    if home_key is not None:
        mend = "Leave --home-key out: a home checks its receipts with its own key."
        raise UsageError("home_key", "--home-key is for the file of a receipt", mend)
    return run(_verify_task(context, subject, trusted, clone, as_json=as_json))


async def _verify_task(
    context: CliContext, number: int, trusted: list[TrustedPasskey], clone: Path | None, *, as_json: bool
) -> int:
    from bot.cli.output import print_checks
    from bot.verification.verify import verify_task

    async with context.open() as app:
        checks = await verify_task(app, number, clone, trusted)
        is_proven = all(check["verdict"] != "fail" for check in checks)
        if as_json:
            print_json({"task": number, "verified": is_proven, "checks": checks})
        else:
            print_checks(f"#{number} is proven" if is_proven else f"#{number} is NOT proven", checks)
        return 0 if is_proven else 1


async def _verify_file(
    path: Path, trusted: list[TrustedPasskey], home_key: Path | None, clone: Path | None, *, as_json: bool
) -> int:
    from bot.cli.output import print_checks
    from bot.verification.lone_receipt import TrustedKeys, check_home_key, verify_receipt

    key = check_home_key(home_key.expanduser()) if home_key else None
    verdict = await verify_receipt(path.expanduser(), TrustedKeys(trusted, key), clone)
    if as_json:
        proven = {"verified": verdict.is_proven, "proven": verdict.proven}
        print_json({"task": verdict.number, **proven, "checks": verdict.checks})
    else:
        print_checks(verdict.title, verdict.checks)
    return 0 if verdict.is_proven else 1


COMMANDS = (verify,)
