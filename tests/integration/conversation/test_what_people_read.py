"""What people read in a conversation: commands in the form of the place, whole sentences, true reasons, exact bytes."""

from __future__ import annotations

import asyncio
import re

import pytest
import pytest_asyncio

from bot.surfaces.port import Place
from core.store import notes
from tests.fakes.surface import MemorySurface
from tests.served_home import IDS, introduce, serve_home

pytestmark = pytest.mark.surfaces

GROUP = Place("telegram", "-100", None)
CHANNEL = Place("slack", "C1", None)


@pytest_asyncio.fixture
async def served(home):
    """A served home with a group on Telegram and a channel on Slack."""
    introduce(home)
    async with serve_home(home, {"telegram": MemorySurface("telegram"), "slack": MemorySurface("slack")}) as found:
        yield found


async def test_chat_15_slack_is_told_of_its_own_command_only(served):
    answers = [
        await served.says("ana", text, CHANNEL)
        for text in ("/help", "/help more", "/help approve", "/show 99", "/shw 1", "/reply", "/schedules")
    ]
    answers += [await served.deliver(served.memory("slack").writes("T1AAA/U666", "hello", CHANNEL))]
    for answer in answers:
        assert answer.text
        for command in re.findall(r"(?<![\w/])/[a-z_]+", answer.text):
            assert command == "/countersign", answer.text
        assert "`countersign " not in answer.text


async def test_chat_15_help_is_for_whoever_asked_and_for_nobody_else(served):
    await served.says("ana", "/help", CHANNEL)
    slack = served.memory("slack")
    told = await served.until(lambda: [m for m in slack.messages.values() if "help more" in m.text], "the help")
    assert [m.only_to for m in told] == [IDS["slack"]["ana"]]
    assert len(told[0].text.splitlines()) <= 6


async def test_a_problem_of_core_is_worded_for_the_place(served):
    assert (await served.says("ana", "/show 99", GROUP)).text == "There is no task #99. See them with /progress."
    card = await served.staged(GROUP)
    digest = await served.digest()
    await served.says("lee", f"/approve 1 {digest}", GROUP)
    await served.card(1, "published")
    late = await served.says("max", f"/reject 1 too late, {card.id}", GROUP)
    assert "See it with /show 1." in late.text


async def test_a_diff_of_one_file_is_said_as_the_bytes_are(served):
    """Commands that stand in a file are not worded for the chat."""
    line = "Run countersign approve 1 0123456789ab, or `countersign policy explain`; see countersign show 1."
    await served.staged(GROUP, f"""create docs/x.md with "{line}" """.strip())
    for place in (GROUP, CHANNEL):
        answer = await served.says("ana", "/diff 1 docs/x.md", place)
        assert f"+{line}" in answer.text.split("\n")


async def test_chat_24_why_is_a_sentence_a_line(served):
    card = await served.staged(GROUP)
    for answer in (await served.says("ana", "/why 1", GROUP), await served.clicks("ana", card, "Why")):
        lines = answer.text.split("\n")
        assert len(lines) >= 3
        for line in lines:
            assert re.fullmatch(r".+[.?!…”]", line), line
            assert ".." not in line


async def test_chat_25_a_title_is_the_last_turn(served):
    card = await served.staged(GROUP)
    for value in ("b", "c", "d"):
        await served.says("ana", f"set server.host to {value} in config/app.yaml", GROUP, reply_to=card.id)
        count = len(served.memory().cards)
        await served.until(lambda seen=count: len(served.memory().cards) >= seen, "a card")
        await served.until(lambda v=value: _title(served).endswith(f"to {v} in config/app.yaml"), "the last turn")
    assert "then" not in _title(served)


def _title(served):
    return served.memory().cards[-1].shown.title


async def test_chat_27_the_card_of_an_undo_says_why_it_has_its_lane(served):
    card = await served.staged(GROUP)
    await served.clicks("lee", card, "Approve")
    published = await served.card(1, "published")
    await served.clicks("lee", published, "Merge")
    merged = await served.card(1, "merged")
    await served.clicks("ana", merged, "Undo")
    undo = await served.card(2, "staged")
    assert "named" not in undo.shown.rule
    assert "names" not in undo.shown.rule
    assert "what is undone went through lane config" in undo.shown.rule


async def test_chat_29_a_superseded_card_says_why_it_was_rejected(served):
    card = await served.staged(GROUP)
    await served.clicks("lee", card, "Reject", "too long a wait")
    await served.card(1, "rejected")
    await served.says("ana", "set server.timeout to 20 in config/app.yaml", GROUP, reply_to=card.id)
    old = served.memory().messages[card.id]
    await served.until(lambda: old.shown.superseded_note, "the old card's word")
    assert [(said.person, said.is_approval, said.reason) for said in old.shown.decisions] == [
        ("lee", False, "too long a wait")
    ]
    new = await served.card(1, "staged")
    assert new.shown.decisions == ()


async def test_chat_22_a_question_stands_once(served):
    await served.says("ana", "please change something nice", GROUP)
    chat = served.memory()
    await served.until(lambda: [m for m in chat.cards if m.shown.question or m.shown.problem], "a card")
    card = chat.cards[-1].shown
    assert not (card.question and card.problem)


async def test_a_card_that_waits_for_people_is_brought_before_words(home):
    """Where a chat's pace is short, cards count for more than chatter."""
    introduce(home)
    chat = MemorySurface("telegram")
    async with serve_home(home, {"telegram": chat}) as served:
        delivery = served.serving.deliveries["telegram"]
        card = await served.staged(GROUP)
        order: list[str] = []
        gate = asyncio.Event()

        class Watched(MemorySurface):
            __slots__ = ()

            async def edit(self, place, message_id, drawn):
                order.append("card")
                return await MemorySurface.edit(self, place, message_id, drawn)

            async def send_text(self, place, text, *rest):
                order.append(text)
                if text == "gate":
                    await gate.wait()
                return await MemorySurface.send_text(self, place, text, *rest)

        chat.__class__ = Watched
        database = served.app.database

        async def owe(tx, text, *, redraw):
            from core.store import cards

            await notes.add(tx, GROUP, text)
            if redraw:
                await cards.redraw(tx, card.shown.number)

        await database.write(lambda tx: owe(tx, "gate", redraw=False))
        delivery.wake()
        await served.until(lambda: "gate" in order, "the delivery, which waits at the gate")
        order.clear()
        await database.write(lambda tx: owe(tx, "chatter", redraw=True))
        gate.set()
        await served.until(lambda: len(order) >= 2, "both")
        assert order[:2] == ["card", "chatter"]


async def test_one_answer_for_a_stranger(served):
    chat = served.memory()
    answers = [await served.deliver(chat.writes("666", f"hello {n}", GROUP)) for n in range(5)]
    assert [bool(answer.text) for answer in answers] == [True, False, False, False, False]
    assert all(answer.refused for answer in answers)
    claim = await served.deliver(chat.writes("666", "/link lee", GROUP))
    assert "Your code is" in claim.text, "saying who one is works all the same"
    assert (await served.deliver(chat.writes("667", "hello", GROUP))).text, "and so does the answer to another"
