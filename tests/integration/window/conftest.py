"""A served home for the tests of the pages."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.homes import CliHome
from tests.window import Window, open_window


@pytest_asyncio.fixture
async def window(home_staged: CliHome) -> AsyncIterator[Window]:
    """A served home in which #1, a request by ana, is staged."""
    async with open_window(home_staged) as opened:
        yield opened
