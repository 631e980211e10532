"""The first steps in a new home: requests refused or not understood, forms sent twice, and who sees the page."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from html import unescape

import pytest
import pytest_asyncio

from bot.configuration.home import Home
from bot.operations.first_run import make_first_home
from core.model.lifecycle import State
from tests.homes import CliHome
from tests.window import Window, open_window

pytestmark = [pytest.mark.window, pytest.mark.xdist_group("window")]

STEPS, ASK = "/first-steps", "/first-steps/ask"
NEWLINE = "\n"


@pytest_asyncio.fixture
async def window(folder) -> AsyncIterator[Window]:
    """A new home that lee set up."""
    home = CliHome(folder)
    await make_first_home(Home(home.root), "lee", "a browser")
    async with open_window(home) as opened:
        yield opened


async def page_with(visit, text: str) -> str:
    """The page once it says `text`."""
    async with asyncio.timeout(60):
        while text not in (page := unescape((await visit.get(STEPS)).text)):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return page


async def test_a_request_that_is_refused_keeps_what_was_typed(window):
    visit = await window.signed_in("lee")
    await visit.get(STEPS)
    for typed in ("", "  ", "x" * 70_000):
        refused = await visit.submit(ASK, text=typed)
        assert refused.status_code == 400
        assert 'role="alert"' in refused.text
        assert f">{typed.strip()}</textarea>" in refused.text
    assert await window.served.app.queries.list(limit=9) == ()


async def test_a_request_that_is_not_understood_is_explained_and_another_can_be_sent(window):
    visit = await window.signed_in("lee")
    await visit.get(STEPS)
    assert (await visit.submit(ASK, text="make it nicer")).status_code == 303
    page = await page_with(visit, "ask for another change above")
    assert "the page of #1" in page
    assert (await visit.submit(ASK, text="set server.timeout to 31 in config/app.yaml")).status_code == 303
    await page_with(visit, "Read the diff of #2")


async def test_a_form_that_is_sent_twice_asks_once_and_the_page_looks_again_while_it_works(window):
    visit = await window.signed_in("lee")
    asked = await visit.get(STEPS)
    assert "set server.timeout to 30 in config/app.yaml</textarea>" in asked.text
    assert "refresh" not in asked.headers
    text = "set server.timeout to 32 in config/app.yaml"
    assert [(await visit.submit(ASK, text=text)).status_code for _ in range(2)] == [303, 303]
    assert len(await window.served.app.queries.list(limit=9)) == 1
    await page_with(visit, "Read the diff of #1")
    assert "refresh" not in (await visit.get(STEPS)).headers
    assert (await window.served.task()).state is State.STAGED


async def test_only_those_who_are_signed_in_see_it_and_only_their_own_forms_count(window):
    stranger = window.visit()
    assert (await stranger.get(STEPS)).status_code == 401
    assert (await stranger.post(ASK, {"text": "x"})).status_code == 401
    visit = await window.signed_in("lee")
    assert (await visit.post(ASK, {"text": "x", "csrf": "0" * 64})).status_code == 403
    assert (await visit.client.get(ASK)).status_code in (404, 405)
    operator = await window.signed_in(None)
    page = (await operator.get(STEPS)).text
    assert "countersign sign-in --as lee" in page
    assert ASK not in operator.forms


async def test_what_it_says_to_add_can_be_added(window):
    visit = await window.signed_in("lee")
    page = unescape((await visit.get(STEPS)).text)
    repository, person, chat = re.findall(r'<pre class="commands">(\w+: \{[^\n]*\})</pre>', page)
    home = window.served.home
    config = home.root / "countersign.yaml"
    text = config.read_text().replace("repositories:\n", f"repositories:\n  {repository}\n")
    config.write_text(f"{text.replace('people:', f'people:{NEWLINE}  {person}')}{chat}\n")
    token = {"COUNTERSIGN_TELEGRAM_TOKEN": "123456789:AAEabcdefghijklmnopqrstuvwxyz0123456"}
    said = await asyncio.to_thread(home.run, "policy", "check", environment=token)
    assert said.code == 0, said


async def test_without_the_sample_there_are_no_first_steps(home):
    async with open_window(home) as opened:
        visit = await opened.signed_in("lee")
        assert STEPS not in (await visit.get("/")).text
        assert (await visit.get(STEPS)).status_code == 404
