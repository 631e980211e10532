"""The schema: brought up to date once, by one program at a time, and never guessed."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, make_url, text
from sqlmodel import SQLModel

import core.store.account_table
import core.store.api_tables
import core.store.authenticator_tables
import core.store.budget_extensions
import core.store.comment_table
import core.store.forecast_tables
import core.store.inventory_tables
import core.store.lease_table
import core.store.output_tables
import core.store.passkey_tables
import core.store.provider_table
import core.store.web_tables  # noqa: F401 (with the imports above and below: fills the metadata)
from core.model.budget import Spending
from core.model.errors import CountersignError, Kind, PermanentError
from core.model.provenance import Usage
from core.model.search_query import SearchQuery
from core.model.task_filter import TaskFilter
from core.model.webhook_delivery import SENT
from core.services.task_search import TaskSearch
from core.store import cards, deliveries, inbox, insight_table, inventory, model_leases, notes, spending_ledger
from core.store.database import Database, Location
from core.store.migrate import HEAD, alembic_config, current_version, migrate, migrations_directory
from core.store.tables import TaskRow
from tests import builders


def connect(location: Location):
    """A plain connection, to look at the database or to spoil it."""
    driver = "sqlite" if location.is_sqlite else "postgresql+psycopg"
    return create_engine(make_url(location.url).set(drivername=driver)).connect()


def tables_in(location: Location) -> set[str]:
    with connect(location) as connection:
        return {name for name in inspect(connection).get_table_names() if is_declared(name)}


def is_declared(name: str | None) -> bool:
    """Whether SQLModel declares a table; the full-text index differs by database and is in the migration alone."""
    return not str(name).startswith("task_search")


_TABLES_OF = (insight_table, inventory, model_leases)  # imported so that the metadata is whole
EVERY_TABLE = {*SQLModel.metadata.tables, "alembic_version"}


def test_an_empty_database_is_brought_up_to_date(blank):
    assert current_version(blank) is None
    assert migrate(blank) is True
    assert current_version(blank) == HEAD
    assert tables_in(blank) == EVERY_TABLE


async def test_migrating_again_changes_nothing_and_keeps_what_is_there(blank):
    migrate(blank)
    database = Database(blank)
    number = await builders.put_task(database)
    assert migrate(blank) is False
    assert (await builders.load(database, number)).number == number
    await database.close()


def test_the_database_of_a_newer_program_is_refused_and_left_alone(location):
    with connect(location) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.commit()
    with pytest.raises(PermanentError, match="9999") as caught:
        migrate(location)
    assert caught.value.problem.code == "database_newer"
    assert caught.value.problem.kind.exit_code == 7
    assert current_version(location) == "9999"
    assert tables_in(location) == EVERY_TABLE


def test_a_migration_that_fails_half_way_leaves_nothing_behind(blank):
    """Else the next start would meet tables that are there already, and never get past them."""
    with connect(blank) as connection:
        connection.execute(text("CREATE TABLE turns (mine INTEGER)"))
        connection.commit()
    with pytest.raises(CountersignError):
        migrate(blank)
    assert tables_in(blank) == {"turns"}
    with connect(blank) as connection:
        connection.execute(text("DROP TABLE turns"))
        connection.commit()
    assert migrate(blank) is True


def _migrate_in_step(location: Location, start, results) -> None:
    start.wait(30)
    try:
        results.put(migrate(location))
    except CountersignError as error:
        results.put(str(error))


def test_of_many_programs_that_migrate_at_once_one_does_it(blank):
    processes = multiprocessing.get_context("spawn")
    start, results = processes.Barrier(4), processes.Queue()
    migrators = [processes.Process(target=_migrate_in_step, args=(blank, start, results)) for _ in range(4)]
    for migrator in migrators:
        migrator.start()
    said = [results.get(timeout=60) for _ in migrators]
    for migrator in migrators:
        migrator.join(30)
    assert sorted(said, key=str) == [False, False, False, True]
    assert tables_in(blank) == EVERY_TABLE


def test_the_program_speaks_the_newest_schema():
    newest = max((migrations_directory() / "versions").glob("[0-9]*.py")).name
    assert newest.split("_")[0] == HEAD
    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == HEAD


def test_every_file_of_the_migrations_begins_with_its_own_version():
    """`_known_versions` reads names, Alembic reads `revision`."""
    scripts = ScriptDirectory.from_config(alembic_config())
    for script in scripts.walk_revisions():
        assert Path(script.path).name.startswith(f"{script.revision}_")


def test_the_migrated_schema_is_what_the_tables_say(location):
    with connect(location) as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_name": lambda name, kind, _parents: kind != "table" or is_declared(name),
            },
        )
        assert compare_metadata(context, SQLModel.metadata) == []


# ---- what older versions wrote


def migrate_to(location: Location, version: str) -> None:
    """Bring an empty database to an older version."""
    with connect(location) as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, version)
        connection.commit()


async def test_sums_of_an_older_version_are_entries_of_the_ledger(blank):
    migrate_to(blank, "0006")
    with connect(blank) as connection:
        connection.execute(text(OLD_TASK))
        for name in ("one", "two"):
            connection.execute(text(OLD_JOB), {"id": name})
        for row in (("one", 1, "local/a", 3, 30, 5, 0.5), ("one", 2, "local/b", 1, 2**40, 1, None)):
            connection.execute(text(OLD_SUM), dict(zip("jamcioq", row, strict=True)))
        connection.execute(text(OLD_SUM), dict(zip("jamcioq", ("two", 1, "local/a", 1, 1, 1, None), strict=True)))
        connection.commit()
    assert migrate(blank) is True
    database = Database(blank)
    whole = await database.read(lambda tx: spending_ledger.of_part(tx, "one", ""))
    assert whole == (Usage("local/a", 3, 30, 5, 0.5), Usage("local/b", 1, 2**40, 1, None))
    assert await database.read(lambda tx: spending_ledger.of_part(tx, "one", "try1")) == ()
    assert await database.read(lambda tx: spending_ledger.of_lane(tx, "code", 7)) == Spending(5, 2**40 + 38, 0.5)
    assert await database.read(lambda tx: spending_ledger.of_revisions(tx, 1, [1])) == Spending(5, 2**40 + 38, 0.5)
    await database.close()


async def test_what_an_older_version_owed_is_delivered_by_this_one(blank):
    migrate_to(blank, "0007")
    with connect(blank) as connection:
        for statement in (OLD_TASK, OLD_CARD, OLD_NOTE, OLD_WEBHOOK, OLD_MESSAGE):
            connection.execute(text(statement))
        connection.commit()
    assert migrate(blank) is True
    database = Database(blank)
    (card,) = await database.write(lambda tx: cards.begin(tx, "telegram", 9))
    (note,) = await database.write(lambda tx: notes.begin(tx, "telegram", 9))
    (webhook,) = await database.write(lambda tx: deliveries.begin(tx, 9))
    (entry,) = await database.write(lambda tx: inbox.begin(tx, 9))
    assert (card.number, card.delivered, note.text, webhook.id) == (1, "d", "hello", "delivery_1")
    assert (entry.delivery.dedup, entry.delivery.text) == ("m:1", "/queue")
    assert [leased.attempt for leased in (card, note, webhook, entry)] == [3, 3, 3, 3], "earlier tries count"
    assert await database.write(lambda tx: notes.finish(tx, note, notes.SENT))
    assert await database.write(lambda tx: deliveries.conclude(tx, webhook, SENT, None))
    await database.close()


OLD_TASK = (
    "INSERT INTO tasks (number, id, version, state, revision, requester, surface, title, priority, created_ms, "
    "updated_ms, escalated) VALUES (1, 't', 1, 'queued', 1, 'ana', 'terminal', 'x', 0, 1, 1, false)"
)
OLD_CARD = (
    "INSERT INTO cards (number, surface, channel, thread, private, message_id, revision, version, delivered, due_ms, "
    "held_ms, attempt, in_order, created_ms) "
    "VALUES (1, 'telegram', '-100', '', false, 'm1', 1, 4, 'd', 1, 0, 2, true, 1)"
)
OLD_NOTE = (
    "INSERT INTO notes (surface, place, channel, text, state, attempt, due_ms, held_ms, in_order, created_ms) VALUES "
    """('telegram', '{"surface": "telegram", "channel": "-100", "thread": null, "private": false}', '-100', """
    "'hello', 'due', 2, 1, 7, true, 1)"
)
OLD_WEBHOOK = (
    "INSERT INTO deliveries (id, hook, event_id, body, state, attempt, due_ms, created_ms) "
    "VALUES ('delivery_1', 'ci', 1, '', 'due', 2, 1, 1)"
)
OLD_MESSAGE = (
    "INSERT INTO inbox (surface, dedup, kind, body, state, attempt, received_ms, due_ms) "
    """VALUES ('telegram', 'm:1', 'heard', '{"text": "/queue"}', 'new', 2, 1, 1)"""
)
OLD_JOB = (
    "INSERT INTO jobs (id, number, revision, kind, state, priority, attempt, fence, rescues, needs, payload, "
    "payload_version, created_ms, ready_ms) VALUES (:id, 1, 1, 'change', 'ready', 0, 1, 0, 0, '[]', '{}', 1, 1, 1)"
)
OLD_SUM = (
    "INSERT INTO spending (job_id, attempt, model, number, lane, person, calls, input_tokens, output_tokens, usd, "
    "at_ms) VALUES (:j, :a, :m, 1, 'code', 'ana', :c, :i, :o, :q, 7)"
)


# ---- files that are not a database, or not ours to write (F24)


@pytest.fixture
def home(tmp_path: Path) -> Location:
    """A SQLite home with nothing in it."""
    return Location.of("sqlite", tmp_path)


async def begin(location: Location) -> None:
    """What every command does first."""
    migrate(location)
    await Database(location).write(lambda tx: tx.session.get(TaskRow, 1))


async def problem_of(location: Location, *, code: str):
    """The one problem that starting with this database meets."""
    with pytest.raises(CountersignError) as caught:
        await begin(location)
    problem = caught.value.problem
    assert problem.code == code
    assert problem.kind is Kind.UNAVAILABLE
    assert str(location.file) in problem.message
    assert problem.mend
    return problem


async def test_a_corrupt_file_is_named_and_kept(home):
    home.file.write_bytes(b"this was a database once\n" * 500)
    before = home.file.read_bytes()
    await problem_of(home, code="database_corrupt")
    assert home.file.read_bytes() == before


async def test_a_file_damaged_in_the_middle_is_named_and_kept(home):
    migrate(home)
    spoiled = bytearray(home.file.read_bytes())
    spoiled[100:4096] = b"\xff" * 3996
    home.file.write_bytes(spoiled)
    await problem_of(home, code="database_corrupt")
    assert home.file.read_bytes() == spoiled


async def test_an_empty_file_is_not_taken_for_a_new_database(home):
    """A full disk or a botched restore leaves one where all decisions were."""
    home.file.touch()
    await problem_of(home, code="database_empty")
    assert home.file.stat().st_size == 0


async def test_a_folder_in_the_files_place_is_named_and_kept(home):
    home.file.mkdir()
    await problem_of(home, code="cannot_open")
    assert home.file.is_dir()


START = """
import asyncio, os, pwd, sys
from pathlib import Path
import aiosqlite, alembic.command, alembic.config, sqlalchemy.dialects.sqlite
from core.model.budget import Spending
from core.model.errors import CountersignError
from core.model.provenance import Usage
from core.model.search_query import SearchQuery
from core.model.task_filter import TaskFilter
from core.store import spending_ledger
from core.store.database import Database, Location
from core.store.migrate import migrate
from core.store.tables import SettingRow

async def start():
    location = Location.of("sqlite", Path(sys.argv[1]))
    try:
        migrate(location)
        database = Database(location)
        async def work(tx):
            tx.session.add(SettingRow(name="x", updated_ms=1))
        await database.write(work)
    except CountersignError as error:
        print(error.problem.code, error.problem.kind.exit_code)

if os.geteuid() == 0:  # after the imports: an ordinary user need not be able to read root's Python
    nobody = pwd.getpwnam("nobody")
    os.setgroups([])
    os.setgid(nobody.pw_gid)
    os.setuid(nobody.pw_uid)
asyncio.run(start())
"""


def start_as_ordinary_user(state: Path) -> list[str]:
    """What starting says to someone who is not root, whom file modes do not stop."""
    argv = [sys.executable, "-c", START, str(state)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture
def shared():
    """A folder that everybody may look into, wherever the test's own folder is."""
    with tempfile.TemporaryDirectory(prefix="countersign-") as made:
        Path(made).chmod(0o755)
        yield Path(made)
        Path(made).chmod(0o755)


def test_a_folder_that_cannot_be_written_is_named(shared):
    shared.chmod(0o555)
    assert start_as_ordinary_user(shared) == ["read_only", "7"]
    assert list(shared.iterdir()) == []


def test_a_database_that_cannot_be_written_is_named_and_kept(shared):
    location = Location.of("sqlite", shared)
    migrate(location)
    assert location.file is not None
    location.file.chmod(0o444)
    shared.chmod(0o555)
    before = location.file.read_bytes()
    assert start_as_ordinary_user(shared)[0] in ("read_only", "cannot_open")
    assert location.file.read_bytes() == before


async def test_tasks_of_an_older_version_are_found_by_the_search(blank):
    migrate_to(blank, "0012")
    staged = '{"files": [{"path": "src/heron.py"}]}'
    with connect(blank) as connection:
        connection.execute(text(OLD_TASK))
        connection.execute(text(OLD_REVISION), {"n": 1, "staged": staged})
        connection.execute(text(OLD_REVISION), {"n": 2, "staged": None})
        for n, said in enumerate(("rename Kestrel", "now falcon"), 1):
            connection.execute(text(OLD_TURN), {"n": n, "text": said})
        connection.execute(text(OLD_TASK.replace("VALUES (1, 't'", "VALUES (2, 'u'")))
        connection.commit()
    assert migrate(blank) is True
    database = Database(blank)
    for words, numbers in (("kestrel falcon", [1]), ("src/heron.py", [1]), ("x", [2, 1]), ("nothing", [])):
        page = await TaskSearch(database, builders.settings).page(TaskFilter(search=SearchQuery.parse(words)), 10)
        assert [task.number for task in page.tasks] == numbers, words
    await database.close()


OLD_REVISION = (
    "INSERT INTO revisions (number, n, created_ms, author, reason, basis, staged) "
    "VALUES (1, :n, 1, 'ana', '', '{}', :staged)"
)
OLD_TURN = (
    "INSERT INTO turns (number, n, revision, person, surface, text, at_ms) "
    "VALUES (1, :n, 1, 'ana', 'terminal', :text, 1)"
)
