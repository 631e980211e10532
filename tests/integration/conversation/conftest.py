"""A home that is served on three surfaces in memory, each with a place where people talk."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from bot.surfaces.port import Place
from tests.fakes.surface import MemorySurface
from tests.homes import CliHome
from tests.served_home import ServedHome, introduce, serve_home

WHERE = {
    "telegram": Place("telegram", "-100", None),
    "slack": Place("slack", "C1", "17.001"),
    "github": Place("github", "77", "issues/5"),
}
"""A group, a thread and an issue."""


@pytest_asyncio.fixture
async def served(home: CliHome) -> AsyncIterator[ServedHome]:
    """A served home with the three surfaces."""
    introduce(home)
    async with serve_home(home, {name: MemorySurface(name) for name in WHERE}) as served:
        yield served
