"""A home that an older program made, opened by today's: nothing is lost, and what was under way goes on.

The homes are in `tests/fixtures/old_home`, one for each database, with tasks in every state; `make.py` there made them.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bot.cards.build import build_card
from bot.configuration.home import Home
from bot.surfaces.port import Place
from bot.wiring.app import opened
from core.model.event import broken_link
from core.model.lifecycle import State
from core.store import events
from tests import canary, phone, postgres
from tests.fakes.surface import MemorySurface
from tests.homes import CliHome
from tests.served_home import serve_home

pytestmark = pytest.mark.queue

FIXTURES = Path(__file__).parents[1] / "fixtures" / "old_home"
MADE_AT = "/srv/countersign"
"""Where the homes lay when they were made; pull requests keep the address that they had there."""
GROUP = Place("telegram", "-100", None)
SURFACES = ("telegram", "slack", "github", "terminal")
WAITING = {"plain": 4, "beside its pull request": 3, "taking back": 14, "made by a model": 17, "picked": 20}
"""Tasks that wait for an approval, by what each stands for."""
UNDER_WAY = (22, 23, 24, 25)
"""Approved, running, queued and received when the old program's workers were killed."""


class OldHome(CliHome):
    """One of the kept homes, unpacked."""

    @property
    def kept(self) -> dict[str, Any]:
        """What the old program showed of it."""
        found: dict[str, Any] = json.loads((self.folder / "kept.json").read_text())
        return found


def unpack(dialect: str, folder: Path, server: postgres.Cluster | None) -> OldHome:
    """The kept home of this database, moved to `folder`."""
    with tarfile.open(FIXTURES / f"{dialect}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    home = OldHome(folder)
    config = home.root / "countersign.yaml"
    text = config.read_text().replace(MADE_AT, str(folder))
    if server is not None:
        url = server.url(server.create())
        with psycopg.connect(url) as connection:
            connection.execute((folder / "dump.sql").read_bytes())
        text = text.replace("postgresql://HOST/NAME", url)
    config.write_text(text)
    return home


@pytest.fixture
def old(dialect: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[OldHome]:
    """A copy of the kept home for this test alone."""
    server = request.getfixturevalue("cluster") if dialect == "postgresql" else None
    home = unpack(dialect, tmp_path, server)
    canary.home_made(tmp_path)
    yield home
    canary.home_over(tmp_path)


def lacks(kept: Any, now: Any, where: str = "") -> Iterator[str]:
    """Where `now` says less than `kept`, or something else; keys may have been added, and a forecast made."""
    if isinstance(kept, dict) and isinstance(now, dict):
        for key, value in kept.items():
            if key in now and (key, value) == ("eta_s", None):
                continue
            yield from lacks(value, now[key], f"{where}.{key}") if key in now else [f"{where}.{key} is gone"]
    elif isinstance(kept, list) and isinstance(now, list) and len(kept) == len(now):
        for n, (before, after) in enumerate(zip(kept, now, strict=True)):
            yield from lacks(before, after, f"{where}[{n}]")
    elif kept != now:
        yield f"{where}: {kept!r} is now {now!r}"


def test_every_task_and_schedule_is_shown_as_before(old):
    kept = old.kept
    assert {task["state"] for task in kept["tasks"]} == set(State)
    for task in kept["tasks"]:
        assert list(lacks(task, old.document("show", task["number"]))) == []
    assert list(lacks(kept["schedules"], old.call("schedules", "--json").json())) == []


def test_what_was_published_verifies(old):
    published = [task["number"] for task in old.kept["tasks"] if task["state"] in ("published", "merged")]
    assert len(published) == 4
    for number in published:
        found = old.call("verify", number)
        assert found.code == 0, found


async def test_no_chain_of_events_is_broken(old):
    async with opened(Home(old.root)) as app:
        for number in range(len(old.kept["tasks"]) + 1):
            chain = await app.database.read(partial(events.chain_of, number=number))
            assert chain
            assert broken_link(chain) is None


@pytest.mark.parametrize("surface", SURFACES)
async def test_every_card_is_drawn(old, surface):
    async with opened(Home(old.root)) as app:
        for task in old.kept["tasks"]:
            document = await app.documents.document(task["number"])
            card = build_card(document.to_json(), now=datetime.now(UTC))
            diff = await app.diffs.of(document.task) if document.task.staged else None
            named = f"task {task['number']}" if surface == "github" else f"#{task['number']}"  # no issue of the forge
            assert named in phone.on(surface, card, diff)


def test_what_waited_is_approved_and_published_and_what_was_under_way_goes_on(old):
    for number in WAITING.values():
        digest = old.document("show", number)["staged"]["digest"]
        assert old.document("approve", number, digest, "--as", "lee")["state"] == "approved"
    assert old.call("worker", "--drain").code == 0
    states = {row["number"]: row["state"] for row in old.call("list", "--json").json()}
    assert {number: states[number] for number in WAITING.values()} == dict.fromkeys(WAITING.values(), "published")
    assert [states[number] for number in UNDER_WAY] == ["published", "staged", "staged", "staged"]
    assert states[21] == "staged", "it waited for #4"
    for number in (*WAITING.values(), UNDER_WAY[0]):
        found = old.call("verify", number)
        assert found.code == 0, found
    kept = next(task for task in old.kept["tasks"] if task["number"] == 3)
    assert old.document("show", 3)["pull_request"]["number"] == kept["pull_request"]["number"]


def number_of_the_new_task(chat: MemorySurface, old: OldHome) -> int | None:
    """The one task made since; PostgreSQL may leave a gap in the numbers, because it never gives one out twice."""
    numbers = {m.card.number for m in chat.cards if m.card is not None} - {task["number"] for task in old.kept["tasks"]}
    assert len(numbers) <= 1
    return numbers.pop() if numbers else None


async def test_the_card_in_the_chat_is_drawn_anew_and_the_message_nobody_read_is_accepted(old):
    chat = MemorySurface("telegram")
    async with serve_home(old, {"telegram": chat}) as place:
        await place.until_delivered(5, GROUP, await place.digest(5))
        card = next(message for message in chat.cards if any(label.startswith("Approve") for label in message.buttons))
        assert not (await place.clicks("lee", card, "Approve")).refused
        await place.card(5, "published")
        number = await place.until(partial(number_of_the_new_task, chat, old), "a card of the message")
        read_late = await place.card(number, "staged")
    assert read_late.shown.title == "set server.timeout to 130 in config/app.yaml"
