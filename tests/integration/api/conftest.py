"""Homes with an API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests import canary
from tests.homes import CliHome, copy_home
from tests.integration.api.api_home import ServedApi, make_api_home, served_api


@pytest.fixture(scope="session")
def template_with_api(template_of_staged: CliHome, tmp_path_factory: pytest.TempPathFactory) -> CliHome:
    """A home with tasks in two repositories; see `make_api_home`."""
    made = copy_home(template_of_staged, tmp_path_factory.mktemp("api"))
    make_api_home(made)
    return made


@pytest.fixture
def api_home(template_with_api: CliHome, folder: Path) -> Iterator[CliHome]:
    """A copy of that home for one test."""
    made = copy_home(template_with_api, folder)
    yield made
    canary.home_over(made.folder)


@pytest_asyncio.fixture
async def api(api_home: CliHome) -> AsyncIterator[ServedApi]:
    """The API of that home."""
    async with served_api(api_home) as served:
        yield served
