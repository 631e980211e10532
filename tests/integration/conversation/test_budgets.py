"""A used-up budget in a chat: the card asks, those who may extend it are mentioned, and a button continues the work."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bot.surfaces.port import Place
from tests.fakes.ollama import Call, Calls, Script, running_shim
from tests.fakes.surface import MemorySurface
from tests.homes import CliHome
from tests.served_home import IDS, ServedHome, introduce, serve_home

pytestmark = pytest.mark.surfaces

GROUP = Place("telegram", "-100", None)
LANE = """\
name: code
describe: any file
write: ["**"]
executor: ollama
models: [local/qwen3:8b]
budget: {steps: 1}
"""
AGAIN = "Give it as much again"


@pytest_asyncio.fixture
async def served(home: CliHome) -> AsyncIterator[ServedHome]:
    """A served home with a lane of one step, whose model takes two."""
    page = Calls((("write_file", {"path": "docs/a.md", "text": "a"}),))
    turns = (page, Call("finish", summary="A page."))
    with running_shim(Script(*turns)) as shim:
        introduce(home, more=f"models:\n  local: {{url: {shim.url!r}}}\n")
        (home.root / "lanes" / "code.yaml").write_text(LANE)
        async with serve_home(home, {"telegram": MemorySurface("telegram")}) as served:
            yield served
        assert len(shim.requests) == len(turns)


async def test_the_card_asks_and_a_button_continues_the_work(served: ServedHome) -> None:
    await served.says("ana", "/task write a page --lane code", GROUP)
    card = await served.card(1, "asking")
    assert card.card is not None
    assert card.card.question is not None
    assert card.card.question.text.startswith("The work in lane code spent 1 of 1 answers of the model. Extend the")
    assert [label for label in card.buttons if label == AGAIN] == [AGAIN]
    told_whom = "lee, max may extend it"
    await served.until(lambda: any(told_whom in words for words in served.memory().words), "the note")
    refused = await served.clicks("ana", card, AGAIN)
    assert refused.refused
    assert "Ask lee, max." in refused.text
    told = await served.says("ana", "/why 1", GROUP)
    assert "/extend 1" in told.text
    wrong = await served.says("lee", "/extend 1 --tokens 500", GROUP)
    assert wrong.refused
    assert "the limit that is used up is steps" in wrong.text.lower()
    late = served.memory().clicks(IDS["telegram"]["max"], card, AGAIN)
    answer = await served.clicks("lee", card, AGAIN)
    assert (answer.refused, answer.text) == (False, "#1 has more budget and goes on.")
    await served.card(1, "staged")
    assert (await served.deliver(late)).refused
