"""Commands for the home directory: init, doctor, migrate, backup, restore, schema, lifecycle."""

from __future__ import annotations

from pathlib import Path

import click

from bot.cli.context import CliContext, json_option, print_json, run


@click.command()
@click.option("--repo", "repos", multiple=True, metavar="NAME=PATH_OR_URL", help="A repository; may be repeated.")
@click.option("--person", "people", multiple=True, metavar="NAME:ROLE", help="A person; may be repeated.")
@click.option("--forge", type=click.Choice(["local", "github"]), default="local", help="Where pull requests live.")
@click.option("--github-url", metavar="URL", help="GitHub Enterprise: https://HOST/api/v3.")
@json_option
@click.pass_obj
def init(
    context: CliContext,
    repos: tuple[str, ...],
    people: tuple[str, ...],
    forge: str,
    github_url: str | None,
    as_json: bool,
) -> int:
    """Create a home: configuration, starter policy and lanes, signing key, database."""
    from bot.operations.init import make_home

    created = run(make_home(context.home(), repos, people, forge, github_url))
    if as_json:
        print_json(created.to_json())
        return 0
    click.echo(f"Created the home {created.home.root}.")
    for note in created.notes:
        click.echo(f"  {note}")
    click.echo('Next: countersign ask "set KEY to VALUE in FILE" --as PERSON --wait')
    return 0


@click.command()
@json_option
@click.pass_obj
def doctor(context: CliContext, as_json: bool) -> int:
    """Check every dependency, permission, sandbox and repository, and say how to fix what fails."""
    from bot.cli.output import print_checks
    from bot.operations.doctor import examine

    checks = run(examine(context.home()))
    failed = [check for check in checks if check["verdict"] == "fail"]
    if as_json:
        print_json({"healthy": not failed, "checks": checks})
    else:
        print_checks("Not healthy" if failed else "Healthy", checks)
    return 1 if failed else 0


@click.command()
@json_option
@click.pass_obj
def migrate(context: CliContext, as_json: bool) -> int:
    """Migrate the database to this version's schema."""
    from bot.configuration.config import load_config
    from bot.wiring.database_file import migrate_database

    home = context.home()
    home.check()
    outcome = migrate_database(home, load_config(home.config).database)
    if as_json:
        print_json({"version": outcome.version, "changed": outcome.changed})
    else:
        click.echo(f"The database is at version {outcome.version}" + (" now." if outcome.changed else " already."))
    return 0


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
@click.pass_obj
def backup(context: CliContext, file: Path, as_json: bool) -> int:
    """Back up the whole home into FILE (.tar.gz), also while it is in use. FILE contains the signing key."""
    from bot.operations.backup import write_backup

    size = write_backup(context.home(), file)
    print_json({"file": str(file), "size_bytes": size}) if as_json else click.echo(f"Wrote {file} ({size:,} bytes).")
    return 0


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@json_option
@click.pass_obj
def restore(context: CliContext, file: Path, as_json: bool) -> int:
    """Restore FILE into a new home, with its queue paused until you resume it."""
    from bot.operations.backup import read_backup

    home = context.home()
    run(read_backup(home, file))
    if as_json:
        print_json({"home": str(home.root), "paused": True})
    else:
        click.echo(
            f"Restored {file} into {home.root}. The queue is paused: check `countersign list`, then run "
            "`countersign resume`."
        )
    return 0


@click.command()
@click.argument("document", type=click.Choice(["task", "event", "receipt"]))
def schema(document: str) -> int:
    """Print the JSON Schema of a document."""
    from bot.json_schemas import schema_of

    print_json(schema_of(document))
    return 0


@click.command()
def lifecycle() -> int:
    """Print the state diagram, generated from the lifecycle's table (Markdown with Mermaid)."""
    from bot.cli.lifecycle_page import lifecycle_page

    click.echo(lifecycle_page(), nl=False)
    return 0


COMMANDS = (init, doctor, migrate, backup, restore, schema, lifecycle)
