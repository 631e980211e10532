"""Shared by all tests: databases of both dialects, prepared homes, and the settings of Hypothesis."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

from core.log import log
from core.store.database import Database, Location
from core.store.migrate import migrate
from tests import campaign, canary, postgres, templates
from tests.homes import CliHome, copy_home, make_home
from tests.memory import folder_in_memory

EXAMPLES = 200 if campaign.WHOLE else 50
settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=EXAMPLES)
settings.register_profile("ci", parent=settings.get_profile("here"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "here")

DIALECTS = ("sqlite", pytest.param("postgresql", marks=pytest.mark.postgres))


def pytest_configure() -> None:
    """Put a secret into the environment of everything that starts from here on (see `tests.canary`)."""
    os.environ[canary.NAME] = canary.CANARY


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect no garbage during collection, whose objects stay to the end: it takes a third of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)  # before -k: a case runs on the same database whatever runs beside it
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the cases that only `make campaigns` runs (see `tests.campaign`)."""
    if deselected := campaign.left_out(items):
        config.hook.pytest_deselected(items=deselected)
        items[:] = [item for item in items if item not in set(deselected)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test whose output or log contains the secret."""
    report = yield
    for title, text in report.sections:
        if how := canary.spelling_in(text.encode("utf-8", "replace")):
            report.outcome = "failed"
            report.longrepr = f"the secret of the environment is in what it printed ({title}), {how}"
    return report


@pytest.fixture(autouse=True)
def no_secret_leaves() -> Iterator[None]:
    """Fail the test in which the secret left the process; checked after all other fixtures are torn down."""
    yield
    assert not (found := canary.taken()), found


@pytest.fixture(autouse=True)
def log_as_at_the_start() -> Iterator[None]:
    """Reset the log level that a command run in this process may have set."""
    yield
    log.configure(0, as_json=False)


@pytest.fixture(autouse=True, scope="session")
def no_secret_stays() -> Iterator[None]:
    """Check every home that no test checked for the secret."""
    yield
    canary.homes_over()
    assert not (found := canary.taken()), found


@pytest.fixture(autouse=True, scope="session")
def no_template_stays() -> Iterator[None]:
    """Remove the templates that tests copied."""
    yield
    templates.remove()


@pytest.fixture(scope="session")
def cluster() -> Iterator[postgres.Cluster]:
    """A private PostgreSQL server; skips, or with CI=true fails, if none is installed."""
    if postgres.programs() is None:
        if os.environ.get("CI") == "true":
            pytest.fail(postgres.MISSING)
        pytest.skip(postgres.MISSING)
    with postgres.cluster(in_memory=True) as running:
        yield running


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file with the engine's beside it; copying them is faster than creating new ones."""
    location = Location.of("sqlite", tmp_path_factory.mktemp("template"))
    migrate(location)
    _make_engine_state(location)
    assert location.file is not None
    return location.file


@pytest.fixture(scope="session")
def migrated_name(cluster: postgres.Cluster) -> str:
    """The name of a template database on the server, migrated and with the engine's tables."""
    name = cluster.create()
    location = Location.of(cluster.url(name), Path())
    migrate(location)
    _make_engine_state(location)
    return name


def _make_engine_state(location: Location) -> None:
    """Let the engine create its tables."""
    from core.queue.engine import DbosEngine  # slow to import

    async def start_and_stop() -> None:
        engine = DbosEngine(location, "template")
        await engine.start()
        await engine.stop()

    asyncio.run(start_and_stop())


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> str:
    """Each database that Countersign supports."""
    return str(request.param)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The folder for a test's SQLite file or home: in memory if there is room, because syncing to a disk is slow."""
    memory = folder_in_memory(256)
    if memory is None:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="countersign-", dir=memory) as made:
        yield Path(made)


@pytest.fixture
def blank(dialect: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[Location]:
    """A location without a schema: no file yet (SQLite), or an empty database (PostgreSQL)."""
    if dialect == "sqlite":
        yield Location.of("sqlite", folder)
        return
    server: postgres.Cluster = request.getfixturevalue("cluster")
    name = server.create()
    yield Location.of(server.url(name), folder)
    server.drop(name)


@pytest.fixture
def location(dialect: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[Location]:
    """A migrated, otherwise empty database for one test."""
    if dialect == "sqlite":
        found = Location.of("sqlite", folder)
        shutil.copytree(request.getfixturevalue("migrated_file").parent, folder, dirs_exist_ok=True)
        yield found
        return
    server: postgres.Cluster = request.getfixturevalue("cluster")
    name = server.create(template=request.getfixturevalue("migrated_name"))
    yield Location.of(server.url(name), folder)
    server.drop(name)


@pytest_asyncio.fixture
async def database(location: Location) -> AsyncIterator[Database]:
    """The store on that database."""
    opened = Database(location)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def template_home(tmp_path_factory: pytest.TempPathFactory) -> CliHome:
    """A home made by `countersign init`, on which a worker has run once; tests use copies of it."""
    made = make_home(tmp_path_factory.mktemp("home"))
    assert made.call("worker", "--drain").code == 0
    return made


@pytest.fixture(scope="session")
def template_of_staged(template_home: CliHome, tmp_path_factory: pytest.TempPathFactory) -> CliHome:
    """A home whose #1 is staged."""
    made = copy_home(template_home, tmp_path_factory.mktemp("staged"))
    made.staged()
    return made


@pytest.fixture
def home(template_home: CliHome, folder: Path) -> Iterator[CliHome]:
    """A home for one test, with the repository `web` and four people."""
    made = copy_home(template_home, folder)
    yield made
    canary.home_over(made.folder)


@pytest.fixture
def home_staged(template_of_staged: CliHome, folder: Path) -> Iterator[CliHome]:
    """A home for one test in which #1, a request by ana, is staged."""
    made = copy_home(template_of_staged, folder)
    yield made
    canary.home_over(made.folder)
