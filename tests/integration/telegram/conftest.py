"""A surface on the fake Telegram, running, with ears that remember."""

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
from tests.fakes.ears import FakeEars
from tests.fakes.telegram import Chat, FakeTelegram
from tests.fakes.telegram.fixtures import telegram

__all__ = ["telegram"]

QUICK = PaceLimits(chat=(1000, 1.0), group=(10_000, 60.0), overall=(10_000, 1.0), patience_s=20.0)
"""No waiting of our own: what a test slows down, it slows down on purpose."""


@dataclass(slots=True)
class Stage:
    """Telegram with a team's group in it, and the surface that listens."""

    telegram: FakeTelegram
    surface: TelegramSurface
    ears: FakeEars
    team: Chat


def config_of(telegram: FakeTelegram, *groups: Chat, **changes: Any) -> TelegramConfig:
    config = TelegramConfig(telegram.token, {str(group.id): () for group in groups}, base_url=telegram.base_url)
    return replace(config, **changes)


@asynccontextmanager
async def listening(surface: TelegramSurface, ears: Inbox) -> AsyncIterator[asyncio.Task[None]]:
    """The surface running; ends it quietly."""
    task = asyncio.create_task(surface.run(ears))
    try:
        yield task
    finally:
        if not task.done():
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@pytest_asyncio.fixture
async def stage(telegram: FakeTelegram) -> AsyncIterator[Stage]:
    """A surface that polls; one listed group with a topic."""
    team = telegram.group("Team", topics={7: "docs"})
    surface, ears = TelegramSurface(config_of(telegram, team), limits=QUICK, wait_s=2.0, poll_s=5), FakeEars()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(listening(surface, ears))
        yield Stage(telegram, surface, ears, team)


@pytest_asyncio.fixture
async def mute(telegram: FakeTelegram) -> AsyncIterator[Stage]:
    """A surface that only speaks."""
    team = telegram.group("Team", topics={7: "docs"})
    surface = TelegramSurface(config_of(telegram, team), limits=QUICK, wait_s=1.0, poll_s=1)
    yield Stage(telegram, surface, FakeEars(), team)
    await surface.close()
