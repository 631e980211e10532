"""The page that makes a home: who may use it, wrong inputs, and what is left when it fails."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket

import httpx
import pytest

from bot.configuration.home import Home
from bot.operations.first_run import set_up
from bot.web.setup.link import LIFETIME_S, SetupLink
from core.model.errors import UsageError
from tests.homes import CliHome

pytestmark = [pytest.mark.window, pytest.mark.xdist_group("window")]


@dataclass
class Setup:
    """A setup page that waits for its form."""

    home: Home
    links: list[str]
    running: asyncio.Task[socket] = field(repr=False)

    @property
    def origin(self) -> str:
        return self.links[-1].partition("/setup/")[0]

    @property
    def secret(self) -> str:
        return self.links[-1].rpartition("/")[2]

    async def send(self, client: httpx.AsyncClient, name: str, **other: str) -> httpx.Response:
        """Send the form as a browser would."""
        headers = {"origin": other.pop("origin", self.origin)}
        return await client.post("/setup", data={"secret": self.secret, "name": name, **other}, headers=headers)


@asynccontextmanager
async def waiting(root: Path) -> AsyncIterator[tuple[Setup, httpx.AsyncClient]]:
    links: list[str] = []
    home = Home(root)
    running = asyncio.create_task(set_up(home, "127.0.0.1", 0, links.append))
    try:
        async with asyncio.timeout(60):
            while not links:
                assert not running.done(), running
                await asyncio.sleep(0.02)
        setup = Setup(home, links, running)
        async with httpx.AsyncClient(base_url=setup.origin, timeout=60) as client:
            yield setup, client
    finally:
        running.cancel()
        (outcome,) = await asyncio.gather(running, return_exceptions=True)
        if not isinstance(outcome, BaseException):
            outcome.close()


async def test_the_link_works_once_makes_a_home_and_signs_in(folder):
    async with waiting(folder / "home") as (setup, client):
        opened = await client.get(f"/setup/{setup.secret}")
        assert opened.status_code == 200
        assert "default-src 'none'" in opened.headers["content-security-policy"]
        assert not setup.home.root.exists(), "opening a link makes nothing"
        done = await setup.send(client, " lee ")
        assert (done.status_code, done.headers["location"]) == (303, "/first-steps")
        assert "HttpOnly" in done.headers["set-cookie"]
        listening = await setup.running
        assert listening.getsockname()[1] == int(setup.origin.rpartition(":")[2]), "the next server takes it over"
    home = CliHome(folder)
    assert (await asyncio.to_thread(home.run, "policy", "check")).code == 0
    assert "lee" in (await asyncio.to_thread(home.run, "sign-in", "--as", "lee")).err
    assert re.search(r'"lee": \{roles: \[maintainer\]\}', setup.home.config.read_text())


async def test_a_form_that_is_sent_twice_makes_one_home_and_a_used_link_nothing(folder):
    async with waiting(folder / "home") as (setup, client):
        first, second = await asyncio.gather(setup.send(client, "lee"), setup.send(client, "eve"))
        assert sorted([first.status_code, second.status_code]) == [303, 403]
        refused = first if first.status_code == 403 else second
        assert "used already" in refused.text
        assert len(re.findall("roles:", setup.home.config.read_text())) == 1


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "is not a plain name"),
        ("lee smith", "is not a plain name"),
        ("maintainer", "is a role"),
        ("<script>alert(1)</script>", "is not a plain name"),
        ("x" * 65, "Use 1-64 ASCII letters"),
        ("léa", "is not a plain name"),
    ],
)
async def test_a_wrong_name_is_explained_and_nothing_is_lost(folder, name, says):
    async with waiting(folder / "home") as (setup, client):
        refused = await setup.send(client, name)
        assert refused.status_code == 400
        assert says in refused.text
        assert "<script>alert" not in refused.text
        assert f'value="{setup.secret}"' in refused.text, "the link still works"
        assert not setup.home.root.exists()
        assert (await setup.send(client, "lee")).status_code == 303


async def test_a_folder_that_filled_meanwhile_is_not_touched(folder):
    async with waiting(folder / "home") as (setup, client):
        setup.home.root.mkdir()
        (setup.home.root / "thesis.txt").write_text("mine")
        refused = await setup.send(client, "lee")
        assert (refused.status_code, "is not empty any more" in refused.text) == (409, True)
        assert [path.name for path in setup.home.root.iterdir()] == ["thesis.txt"]


async def test_a_place_that_cannot_be_written_is_named_and_the_form_stays(folder):
    (folder / "file").write_text("x")
    async with waiting(folder / "file" / "home") as (setup, client):
        refused = await setup.send(client, "lee")
        assert refused.status_code == 500
        assert "cannot be written: Not a directory" in refused.text
        assert f'value="{setup.secret}"' in refused.text


async def test_no_other_secret_page_or_name_gets_in(folder):
    async with waiting(folder / "home") as (setup, client):
        for secret in ("x", "", setup.secret[:-1], setup.secret.swapcase(), "é"):
            assert (await setup.send(client, "lee", secret=secret)).status_code == 403
            assert (await client.get(f"/setup/{secret}")).status_code in (403, 404, 405)
        for origin in ("http://evil.example", "null", setup.origin.replace("127.0.0.1", "evil.example")):
            assert (await setup.send(client, "lee", origin=origin)).status_code == 403
        evil = {"host": "evil.example", "origin": "http://evil.example"}
        form = {"secret": setup.secret, "name": "lee"}
        assert (await client.post("/setup", data=form, headers=evil)).status_code == 421
        for path in ("/", "/first-steps", "/tasks/1", "/api/v1/tasks", "/mcp", "/static/../setup.html"):
            assert (await client.get(path)).status_code == 404
        assert not setup.home.root.exists()


def test_a_link_ends_after_ten_minutes_and_a_new_one_replaces_it():
    now = [0.0]
    link = SetupLink(lambda: now[0])
    first = link.secret
    now[0] = LIFETIME_S - 1
    assert link.accepts(first)
    now[0] = LIFETIME_S
    assert not link.accepts(first)
    link.renew()
    assert not link.accepts(first)
    assert link.accepts(link.secret)
    link.end()
    assert not link.accepts(link.secret)


async def test_it_is_served_on_this_machine_only(folder):
    for host in ("0.0.0.0", "::", "192.0.2.1"):
        with pytest.raises(UsageError, match="not local"):
            await set_up(Home(folder / "home"), host, 0, print)


def test_only_an_empty_folder_is_set_up_and_any_other_is_named(folder):
    home = CliHome(folder)
    assert Home(home.root).is_new
    home.root.mkdir()
    assert Home(home.root).is_new
    (home.root / "state").mkdir()
    file = Home(folder / "file")
    file.root.write_text("x")
    assert not file.is_new
    said = home.call("serve", "--port", "0")
    assert (said.code, "is not a Countersign home" in said.sentence()) == (2, True)
