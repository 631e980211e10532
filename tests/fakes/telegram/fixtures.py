"""The fixture `telegram`; a conftest.py has it by ``from tests.fakes.telegram.fixtures import telegram``."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.fakes.telegram.server import FakeTelegram


@pytest_asyncio.fixture
async def telegram() -> AsyncIterator[FakeTelegram]:
    """A running fake Telegram; fails a test whose bot broke the documentation without the test expecting it."""
    async with FakeTelegram() as running:
        yield running
    assert not running.violations, f"the bot broke the Bot API's rules: {running.violations}"
