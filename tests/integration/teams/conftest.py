"""Homes of two teams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests import canary
from tests.fakes.surface import MemorySurface
from tests.homes import CliHome, copy_home
from tests.integration.teams.team_home import make_team_home
from tests.served_home import serve_home
from tests.window import Window


@pytest.fixture(scope="session")
def template_of_teams(template_of_staged: CliHome, tmp_path_factory: pytest.TempPathFactory) -> CliHome:
    """See `make_team_home`."""
    made = copy_home(template_of_staged, tmp_path_factory.mktemp("teams"))
    make_team_home(made)
    return made


@pytest.fixture
def team_home(template_of_teams: CliHome, folder: Path) -> Iterator[CliHome]:
    """A copy of that home for one test."""
    made = copy_home(template_of_teams, folder)
    yield made
    canary.home_over(made.folder)


@pytest_asyncio.fixture
async def window(team_home: CliHome) -> AsyncIterator[Window]:
    """That home, served with its pages, its API and a chat."""
    async with serve_home(team_home, {"telegram": MemorySurface("telegram")}, port=0) as served:
        await served.until(served.web.started.is_set, "the web server")
        opened = Window(served)
        try:
            yield opened
        finally:
            for client in opened.clients:
                await client.aclose()
