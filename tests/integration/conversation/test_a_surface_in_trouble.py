"""A surface in trouble: people elsewhere hear of it in plain words once it lasts, and of its end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bot.operations.doctor_surfaces import surface_checks
from bot.surfaces.port import Place
from bot.wiring.serving import RestartDelays
from core.model.errors import CountersignError, PermanentError, TransientError
from tests.fakes.surface import MemorySurface
from tests.homes import CliHome
from tests.served_home import ServedHome, introduce, serve_home

pytestmark = pytest.mark.surfaces

ELSEWHERE = Place("slack", "C1")
NEVER_S = 3600.0
CONFLICT = TransientError("telegram_conflict", "Another program asks Telegram for this bot's messages.", "Stop it.")
ANNOUNCED = (
    "Telegram cannot be reached: Another program asks Telegram for this bot's messages. Stop it. "
    "Its cards follow when it is back."
)


class Shaky(MemorySurface):
    """A surface whose runs end as it is told, one after the other; then it stays."""

    def __init__(self, name: str, *ends: Exception) -> None:
        super().__init__(name)
        self.ends = list(ends)

    async def run(self, inbox) -> None:
        if self.ends:
            raise self.ends.pop(0)
        await super().run(inbox)


@asynccontextmanager
async def served(home: CliHome, surface: Shaky, lasting_s: float) -> AsyncIterator[ServedHome]:
    introduce(home)
    patience = RestartDelays(first_wait_s=0.01, longest_wait_s=0.05, steady_s=0.05, lasting_s=lasting_s)
    surfaces = {"telegram": surface, "slack": MemorySurface("slack")}
    async with serve_home(home, surfaces, rooms=[ELSEWHERE], patience=patience) as there:
        yield there


async def test_chat_17_what_passes_within_a_moment_is_not_announced(home):
    shaky = Shaky("telegram", CONFLICT, CONFLICT)
    async with served(home, shaky, NEVER_S) as there:
        await there.until(lambda: shaky.inbox, "Telegram back")
        await there.says("ana", "/queue", ELSEWHERE)
        await there.until(lambda: there.memory("slack").words, "the answer")
        assert not [words for words in there.memory("slack").words if "Telegram" in words]


async def test_chat_17_what_lasts_is_announced_once_and_so_is_its_end(home):
    async with served(home, Shaky("telegram", *[CONFLICT] * 5), 0) as there:
        await there.until(lambda: len(there.memory("slack").words) > 1, "the end")
        assert there.memory("slack").words == [ANNOUNCED, "Telegram is back."]


@pytest.mark.parametrize("error", [KeyError("force_reply"), PermanentError("telegram_token", "The token is revoked")])
async def test_chat_26_a_trouble_is_told_in_plain_sentences(home, error):
    lasting_s = NEVER_S if isinstance(error, CountersignError) else 0
    async with served(home, Shaky("telegram", *[error] * 3), lasting_s) as there:
        await there.until(lambda: there.memory("slack").words, "the word")
        (told, *_) = there.memory("slack").words
    assert "KeyError" not in told
    assert "force_reply" not in told
    assert told.endswith(". Its cards follow when it is back.")


async def test_chat_01_an_odd_answer_is_a_row_of_doctor_and_shows_no_words():
    class Odd(MemorySurface):
        async def check(self):
            raise KeyError("the-secret-plan")

    (row,) = await surface_checks("telegram", Odd("telegram"))
    assert (row["name"], row["verdict"]) == ("telegram", "fail")
    assert "the-secret-plan" not in str(row)
