"""The command /web: a sign-in link for the person who writes, where no one else reads it."""

from __future__ import annotations

import re

import pytest

from core.model.place import Place
from tests.fakes.surface import MemorySurface
from tests.served_home import introduce, serve_home
from tests.window import Window

pytestmark = [pytest.mark.window, pytest.mark.surfaces]


async def test_a_link_is_given_in_a_direct_message_only_and_signs_in_who_asked(home):
    introduce(home, more="web: {url: 'http://127.0.0.1:8700'}")
    room, direct = Place("telegram", "-100"), Place("telegram", "103", private=True)
    async with serve_home(home, {"telegram": MemorySurface("telegram")}, port=0) as served:
        in_room = await served.says("lee", "/web", room)
        assert in_room.refused
        assert "direct message" in in_room.text
        assert "http" not in in_room.text
        given = await served.says("lee", "/web", direct)
        (token,) = re.findall(r"http://127\.0\.0\.1:8700/sign-in/([\w-]{43})", given.text)
        assert given.personal
        await served.until(served.web.started.is_set, "the web server")
        window = Window(served)
        visit = window.visit()
        assert (await visit.post("/sign-in", {"token": token})).status_code == 303
        assert "lee" in (await visit.get("/sessions")).text
        await visit.client.aclose()


async def test_without_an_address_there_is_no_link(home):
    introduce(home)
    async with serve_home(home, {"telegram": MemorySurface("telegram")}) as served:
        answer = await served.says("lee", "/web", Place("telegram", "103", private=True))
        assert answer.refused
        assert "web.url" in answer.text
