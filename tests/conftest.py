"""What all tests share: real databases on both dialects, and how hard Hypothesis looks."""

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
    """Whatever is started from here on has a secret in its environment (see `tests.canary`)."""
    os.environ[canary.NAME] = canary.CANARY


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage among what is collected, which stays to the end: that takes a third of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)  # before -k: a case runs on the same database whatever runs beside it
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave to the campaigns what `make test` takes a share of (see `tests.campaign`)."""
    if left := campaign.left_out(items):
        config.hook.pytest_deselected(items=left)
        gone = set(left)
        items[:] = [item for item in items if item not in gone]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test printed and logged may not hold the secret either."""
    report = yield
    for title, text in report.sections:
        if how := canary.spelling_in(text.encode("utf-8", "replace")):
            report.outcome = "failed"
            report.longrepr = f"the secret of the environment is in what it printed ({title}), {how}"
    return report


@pytest.fixture(autouse=True)
def no_secret_leaves() -> Iterator[None]:
    """Fail the test in which somebody outside received the secret; it is looked for when all else is taken down."""
    yield
    assert not (found := canary.taken()), found


@pytest.fixture(autouse=True)
def log_as_at_the_start() -> Iterator[None]:
    """A command that a test ran in this process leaves its log level to no other test."""
    yield
    log.configure(0, as_json=False)


@pytest.fixture(autouse=True, scope="session")
def no_secret_stays() -> Iterator[None]:
    """Look through every home that no test of its own looked through."""
    yield
    canary.homes_over()
    assert not (found := canary.taken()), found


@pytest.fixture(autouse=True, scope="session")
def no_template_stays() -> Iterator[None]:
    """Remove what tests copied."""
    yield
    templates.remove()


@pytest.fixture(scope="session")
def cluster() -> Iterator[postgres.Cluster]:
    """A private PostgreSQL server; skips, or with CI=true fails, where none is installed."""
    if postgres.programs() is None:
        if os.environ.get("CI") == "true":
            pytest.fail(postgres.MISSING)
        pytest.skip(postgres.MISSING)
    with postgres.cluster(in_memory=True) as running:
        yield running


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, the engine's beside it; copying them is quicker than making others."""
    location = Location.of("sqlite", tmp_path_factory.mktemp("template"))
    migrate(location)
    _make_engine_state(location)
    assert location.file is not None
    return location.file


@pytest.fixture(scope="session")
def migrated_name(cluster: postgres.Cluster) -> str:
    """The name of a migrated database on the server that has the engine's tables too, to be a template."""
    name = cluster.create()
    location = Location.of(cluster.url(name), Path())
    migrate(location)
    _make_engine_state(location)
    return name


def _make_engine_state(location: Location) -> None:
    """Let the engine make its tables."""
    from core.queue.engine import DbosEngine  # imports much: not before it is needed

    async def start_and_stop() -> None:
        engine = DbosEngine(location, "template")
        await engine.start()
        await engine.stop()

    asyncio.run(start_and_stop())


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> str:
    """Each of the databases that Countersign runs on."""
    return str(request.param)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where a test's SQLite file or home lies: in memory where there is room, for syncing to a disk is slow."""
    memory = folder_in_memory(256)
    if memory is None:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="countersign-", dir=memory) as made:
        yield Path(made)


@pytest.fixture
def blank(dialect: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[Location]:
    """Where a database may be made: nothing is there yet (SQLite), or it is empty (PostgreSQL)."""
    if dialect == "sqlite":
        yield Location.of("sqlite", folder)
        return
    server: postgres.Cluster = request.getfixturevalue("cluster")
    name = server.create()
    yield Location.of(server.url(name), folder)
    server.drop(name)


@pytest.fixture
def location(dialect: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[Location]:
    """A migrated, otherwise empty database of this test's own."""
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
    """A home as `countersign init` makes it, which a worker has run on once; tests work on copies of it."""
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
    """A home of this test's own, with the repository `web` and four people."""
    made = copy_home(template_home, folder)
    yield made
    canary.home_over(made.folder)


@pytest.fixture
def home_staged(template_of_staged: CliHome, folder: Path) -> Iterator[CliHome]:
    """A home of this test's own where #1, a request of ana's, is staged."""
    made = copy_home(template_of_staged, folder)
    yield made
    canary.home_over(made.folder)
