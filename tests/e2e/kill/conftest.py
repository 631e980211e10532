"""A trial for every test: a home at some stage, on SQLite or PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.kill.stages import Stages
from tests.e2e.kill.trial import KillTrial


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One process runs all that starts from the stages on one database, so that they are made once."""
    for item in items:
        if isinstance(item, pytest.Function) and "stages" in item.fixturenames:
            dialect = item.callspec.params["dialect"]
            item.add_marker(pytest.mark.xdist_group(f"kills on {dialect}"))


@pytest.fixture(scope="session")
def stages_of(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Stages]:
    """The stages on each database, made when a test first asks for them."""
    made: dict[str, Stages] = {}

    def of(dialect: str) -> Stages:
        if dialect not in made:
            server = request.getfixturevalue("cluster") if dialect == "postgresql" else None
            stages = Stages(tmp_path_factory.mktemp(f"stages-{dialect}"), server)
            asyncio.run(stages.make())
            made[dialect] = stages
        return made[dialect]

    return of


@pytest.fixture
def stages(stages_of: Callable[[str], Stages], dialect: str) -> Stages:
    """The stages on this test's database."""
    return stages_of(dialect)


@pytest.fixture
def trial_at(stages: Stages, tmp_path: Path) -> Iterator[Callable[[str], KillTrial]]:
    """Makes the trial of this test at a stage."""
    scenes: list[KillTrial] = []

    def at(stage: str) -> KillTrial:
        scenes.append(stages.trial(stage, tmp_path / str(len(scenes))))
        return scenes[-1]

    yield at
    for trial in scenes:
        stages.remove(trial)
