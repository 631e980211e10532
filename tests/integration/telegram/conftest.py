"""A running surface on the fake Telegram, with a fake inbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest_asyncio

from bot.surfaces.port import Inbox, TelegramConfig
from bot.surfaces.telegram.pace import PaceLimits
from bot.surfaces.telegram.surface import TelegramSurface
from tests.fakes.inbox import FakeInbox
from tests.fakes.telegram import Chat, FakeTelegram
from tests.fakes.telegram.fixtures import telegram

__all__ = ["telegram"]

QUICK = PaceLimits(chat=(1000, 1.0), group=(10_000, 60.0), overall=(10_000, 1.0), patience_s=20.0)
"""No waiting of our own: what a test slows down, it slows down on purpose."""


@dataclass(slots=True)
class TelegramHarness:
    """Telegram with a team's group in it, and the surface that listens."""

    telegram: FakeTelegram
    surface: TelegramSurface
    inbox: FakeInbox
    team: Chat


def config_of(telegram: FakeTelegram, *groups: Chat, **changes: Any) -> TelegramConfig:
    config = TelegramConfig(telegram.token, {str(group.id): () for group in groups}, base_url=telegram.base_url)
    return replace(config, **changes)


@asynccontextmanager
async def listening(surface: TelegramSurface, inbox: Inbox) -> AsyncIterator[asyncio.Task[None]]:
    """The surface running; ends it quietly."""
    task = asyncio.create_task(surface.run(inbox))
    try:
        yield task
    finally:
        if not task.done():
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@pytest_asyncio.fixture
async def harness(telegram: FakeTelegram) -> AsyncIterator[TelegramHarness]:
    """A surface that polls; one listed group with a topic."""
    team = telegram.group("Team", topics={7: "docs"})
    surface, inbox = TelegramSurface(config_of(telegram, team), limits=QUICK, wait_s=2.0, poll_s=5), FakeInbox()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(listening(surface, inbox))
        yield TelegramHarness(telegram, surface, inbox, team)


@pytest_asyncio.fixture
async def sender(telegram: FakeTelegram) -> AsyncIterator[TelegramHarness]:
    """A surface that only sends."""
    team = telegram.group("Team", topics={7: "docs"})
    surface = TelegramSurface(config_of(telegram, team), limits=QUICK, wait_s=1.0, poll_s=1)
    yield TelegramHarness(telegram, surface, FakeInbox(), team)
    await surface.close()
