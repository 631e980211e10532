"""What all tests share: real databases on both dialects, and how hard Hypothesis looks."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

from core.store.database import Database, Location
from core.store.migrate import migrate
from tests import postgres
from tests.homes import CliHome, copy_home, make_home

settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("here"), max_examples=50, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "here")

ROOM_BYTES = 256 * 1024 * 1024
CANARY = "canary-" + "4f9d1c7be2a0" * 2
"""A secret in the environment of every test with a home. In two parts, so that this file does not hold it."""
DIALECTS = ("sqlite", pytest.param("postgresql", marks=pytest.mark.postgres))


@pytest.fixture(scope="session")
def cluster() -> Iterator[postgres.Cluster]:
    """A private PostgreSQL server; skips, or with CI=true fails, where none is installed."""
    if postgres.programs() is None:
        if os.environ.get("CI") == "true":
            pytest.fail(postgres.MISSING)
        pytest.skip(postgres.MISSING)
    with postgres.cluster() as running:
        yield running


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file; copying it is quicker than migrating another."""
    location = Location.of("sqlite", tmp_path_factory.mktemp("template"))
    migrate(location)
    assert location.file is not None
    return location.file


@pytest.fixture(scope="session")
def migrated_name(cluster: postgres.Cluster) -> str:
    """The name of a migrated database on the server, to be a template."""
    name = cluster.create()
    migrate(Location.of(cluster.url(name), Path()))
    return name


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> str:
    """Each of the databases that Countersign runs on."""
    return str(request.param)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where a test's SQLite file lies: in memory where the system has room for that, for syncing to a disk is slow."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or shutil.disk_usage(memory).free < ROOM_BYTES:
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
        assert found.file is not None
        shutil.copyfile(request.getfixturevalue("migrated_file"), found.file)
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


@pytest.fixture
def home(template_home: CliHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CliHome]:
    """A home of this test's own, with the repository `web` and four people.

    Whoever works in it has a secret in the environment, which must be nowhere afterwards: in no log, database row,
    artifact, journal, transcript or pull request.
    """
    monkeypatch.setenv("CANARY_SECRET", CANARY)
    made = copy_home(template_home, tmp_path)
    yield made
    leaked = [path for path in made.folder.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]
    assert not leaked, f"the secret of the environment reached {leaked}"
