"""In a channel that is for some repositories, only these are offered, and no other one is accepted as an answer."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bot.messaging.channel_scopes import ChannelScopes
from bot.surfaces.port import Place
from tests.fakes.surface import MemorySurface
from tests.homes import CliHome
from tests.served_home import ASK, ServedHome, introduce, serve_home

pytestmark = pytest.mark.surfaces

CHANNEL, ELSEWHERE = Place("telegram", "-100"), Place("telegram", "-200")
PRIVATE = Place("telegram", "101", private=True)
TELEGRAM = """
telegram:
  token_file: telegram-token
  chats: {"-100": {repositories: [web, docs]}, "-200": {repositories: [web, api]}}
"""


@pytest_asyncio.fixture
async def served(home: CliHome) -> AsyncIterator[ServedHome]:
    """A home with three repositories, two channels that are for two of them each, and a private chat."""
    config = home.root / "countersign.yaml"
    text = config.read_text()
    web = next(line for line in text.splitlines() if line.startswith("  web:"))
    others = [web.replace("web", name, 1) for name in ("docs", "api")]
    config.write_text(text.replace(web, "\n".join([web, *others])))
    (home.root / "telegram-token").write_text("123:" + "a" * 35)
    (home.root / "telegram-token").chmod(0o600)
    introduce(home, more=TELEGRAM)
    async with serve_home(home, {"telegram": MemorySurface("telegram")}) as served:
        yield served


async def test_the_buttons_offer_the_repositories_of_the_channel_and_settle_one(served: ServedHome) -> None:
    await served.says("ana", ASK, CHANNEL)
    card = await served.card(1, "asking")
    answers = [action.label for action in card.shown.actions]
    assert {"docs", "web"} <= set(answers)
    assert "api" not in answers
    await served.clicks("ana", card, "web")
    await served.card(1, "staged")
    assert (await served.task()).repo == "web"


async def test_a_typed_answer_outside_the_channel_is_refused_in_one_sentence(served: ServedHome) -> None:
    await served.says("ana", ASK, CHANNEL)
    card = await served.card(1, "asking")
    for where in (CHANNEL, PRIVATE, ELSEWHERE):
        response = await served.says("ana", "/reply 1 api", where)
        assert response.refused
        assert response.text.startswith("api is not a repository of "), response.text
        assert "It is for: web, docs." in response.text.replace("\n", " ")
    replied = await served.says("ana", "api", CHANNEL, reply_to=card.id)
    assert replied.refused
    task = await served.task()
    assert (task.repo, task.revision) == (None, 1)


async def test_a_button_of_a_private_card_settles_nothing_in_a_channel_that_is_not_for_it(served: ServedHome) -> None:
    """The private card offers all repositories; shown in a channel, its buttons are pressed within that channel."""
    await served.says("ana", ASK, PRIVATE)
    await served.card(1, "asking")
    await served.says("ana", "/show 1", CHANNEL)
    shown = await served.until(
        lambda: next((m for m in served.memory().cards if m.place == CHANNEL), None), "the card in the channel"
    )
    response = await served.clicks("ana", shown, "api")
    assert response.refused
    assert "api is not a repository of this channel" in response.text
    assert (await served.task()).repo is None


async def test_a_channel_is_for_the_same_repositories_under_each_of_its_ids(served: ServedHome) -> None:
    """Telegram gives a group a new id; the configuration may have the old one or the new one."""
    scopes = ChannelScopes(served.app.config.surfaces(), served.app.conversations)
    for old, new in (("-100", "-1001"), ("-2", "-200")):
        scopes.moved("telegram", old, new)
    assert [scopes.of(Place("telegram", channel)) for channel in ("-100", "-1001")] == [("web", "docs")] * 2
    assert [scopes.of(Place("telegram", channel)) for channel in ("-2", "-200")] == [("web", "api")] * 2
    assert scopes.of(Place("telegram", "-3")) == ()
