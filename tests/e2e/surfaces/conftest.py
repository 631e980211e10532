"""Real surfaces on honest counterparts, and one home that is served on all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.configuration.home import Home
from bot.surfaces.port import Surface
from bot.wiring.app import opened
from bot.wiring.surfaces import surfaces_of
from tests.e2e.surfaces.hub import SECRET, hub_home
from tests.fakes.github import FakeGitHub
from tests.fakes.github.fixtures import github
from tests.fakes.slack.fixtures import slack, slack_program
from tests.fakes.telegram.fixtures import telegram
from tests.homes import CliHome
from tests.served_home import ServedHome, serve_home

__all__ = ["github", "slack", "slack_program", "telegram"]


@pytest.fixture
def hub(tmp_path: Path, github: FakeGitHub, monkeypatch: pytest.MonkeyPatch) -> CliHome:
    """A home whose repository is at the fake GitHub."""
    return hub_home(tmp_path, github, monkeypatch)


@asynccontextmanager
async def served(home: CliHome, hub: FakeGitHub, **chats: Surface) -> AsyncIterator[ServedHome]:
    """The home served on `chats` and on GitHub, which sends its webhooks there."""
    async with opened(Home(home.root)) as app:
        surfaces = {**chats, **await surfaces_of(app)}
        async with serve_home(home, surfaces, port=0, app=app) as place:
            await asyncio.wait_for(place.web.started.wait(), 20)
            hub.hooks.to(f"http://127.0.0.1:{place.web.port}/hooks/github", SECRET)
            yield place
            await asyncio.to_thread(hub.hooks.settle)
