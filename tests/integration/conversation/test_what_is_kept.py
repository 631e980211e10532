"""What the inbox stores of messages, and what follows from it: edits, cut texts, quoted messages, hints."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio
from sqlalchemy import text

from bot.messaging.stored_messages import storable
from bot.surfaces.port import IncomingMessage, Place, QuotedMessage
from core.model.errors import PermanentError
from core.store import events
from core.store.unit_of_work import Tx
from tests.fakes.surface import MemorySurface
from tests.homes import CliHome
from tests.served_home import ASK, IDS, ServedHome, introduce, serve_home

pytestmark = pytest.mark.surfaces

GROUP = Place("telegram", "-100", None)
DM = Place("telegram", "101", None, private=True)
MAX = IDS["telegram"]["max"]


@pytest_asyncio.fixture
async def served(home: CliHome) -> AsyncIterator[ServedHome]:
    """A served home."""
    introduce(home)
    async with serve_home(home, {"telegram": MemorySurface("telegram")}) as served:
        yield served


def said(words: str, number: int = 1, who: str = "ana", where: Place = DM, **more: object) -> IncomingMessage:
    dedup = f"m:{where.channel}:{number}"
    return replace(IncomingMessage(IDS["telegram"][who], where, words, str(number), dedup, addressed=True), **more)  # type: ignore[arg-type]


async def tasks_of(served: ServedHome) -> list[str]:
    async def look(tx: Tx) -> list[str]:
        rows = await tx.session.execute(text("select text from turns order by number, n"))
        return [row[0] for row in rows]

    return await served.app.database.read(look)


async def answered(served: ServedHome, heard: IncomingMessage) -> str:
    answer = await served.serving.inbox.wait_for_response(await served.serving.inbox.accept(heard), 60)
    assert answer is not None
    return answer.text


async def test_chat_05_an_edit_without_other_words_is_nothing_and_one_with_others_is_accepted(served):
    inbox, first = served.serving.inbox, said(ASK)
    one = await inbox.accept(first)
    same = await inbox.accept(replace(first, dedup="e:101:1:1790000001", edits=first.dedup))
    assert (one.is_new, same.is_new, same.id) == (True, False, one.id)
    other = replace(first, text=ASK.replace("30", "31"), dedup="e:101:1:1790000002", edits=first.dedup)
    assert (await inbox.accept(other)).is_new
    again = replace(other, dedup="e:101:1:1790000003")
    assert not (await inbox.accept(again)).is_new, "a preview of the edited text"
    back = replace(first, dedup="e:101:1:1790000004", edits=first.dedup)
    assert (await inbox.accept(back)).is_new, "the first words again are a change"
    elsewhere = replace(first, dedup="e:101:11:1790000004", edits="m:101:11")
    assert (await inbox.accept(elsewhere)).is_new, "another message with a number that begins alike"


async def test_chat_09_a_text_that_was_cut_is_one_request(served):
    inbox = served.serving.inbox
    words = ASK.replace("30", '"' + "x" * 3000)
    first = await inbox.accept(said(words, 1, may_go_on=True))
    second = await inbox.accept(said("y" * 3000, 2, rest_of="m:101:1", may_go_on=True))
    third = await inbox.accept(said('z" in config/app.yaml', 3, rest_of="m:101:1"))
    assert {second.id, third.id} == {first.id}
    again = await inbox.accept(said("y" * 3000, 2, rest_of="m:101:1", may_go_on=True))
    assert not again.is_new, "a redelivery is put to nothing a second time"
    assert await inbox.wait_for_response(first, 60) is not None
    assert await tasks_of(served) == [words + "y" * 3000 + 'z" in config/app.yaml']


async def test_chat_09_a_rest_that_comes_too_late_is_a_message_of_its_own(served):
    assert await answered(served, said("/queue")) != ""
    late = await served.serving.inbox.accept(said("/queue", 2, rest_of="m:101:1"))
    assert late.is_new


@pytest.mark.parametrize("pointing", ["do this", "Please do that!", "", "this, please", "👆"])
async def test_chat_09_do_this_asks_for_what_the_answered_message_says_and_its_writer_is_an_author(served, pointing):
    quoted = QuotedMessage(ASK, MAX, "Max")
    await served.serving.inbox.accept(said(pointing, where=GROUP, quoted=quoted, reply_to="77"))
    card = await served.card(1, "staged")
    task = await served.task()
    assert (task.requester, await tasks_of(served)) == ("ana", [ASK])
    assert task.authors == {"ana", "max"}
    assert (await served.clicks("max", card, "Approve")).refused
    assert not (await served.clicks("lee", card, "Approve")).refused


async def test_chat_09_a_command_of_somebody_else_is_never_run(served):
    await served.staged(GROUP)
    digest = await served.digest()
    for n, words in enumerate((f"/approve 1 {digest}", f"approve 1 {digest}", "/cancel 1", "cancel 1")):
        heard = said("do this", n + 50, "lee", GROUP, quoted=QuotedMessage(words, IDS["telegram"]["ana"], "Ana"))
        await answered(served, heard)
    assert (await served.task(1)).state.value == "staged"


async def test_chat_09_with_words_of_its_own_the_answered_message_is_what_it_is_about(served):
    heard = said("set server.timeout to what max says", where=GROUP, quoted=QuotedMessage("to 30, I think", MAX, "Max"))
    await answered(served, heard)
    assert await tasks_of(served) == ['max wrote: "to 30, I think": set server.timeout to what max says']
    assert (await served.task()).authors == {"ana", "max"}


async def test_chat_18_who_is_known_gets_the_hint_a_stranger_what_strangers_get(served):
    assert await answered(served, said("", hint="I cannot listen.")) == "I cannot listen."
    stranger = replace(said("", 2, hint="I cannot listen."), identity="999")
    assert "do not know you" in await answered(served, stranger)
    nobody = replace(said("", 3, where=GROUP, hint="You write as the group."), identity="")
    assert await answered(served, nobody) == "You write as the group."
    assert await tasks_of(served) == []
    assert await served.app.database.read(lambda tx: events.since(tx, number=1, since_ms=None)) == []


async def test_chat_01_whatever_is_said_can_be_kept(served):
    odd = "set \x00 \ud800 to \udfff" + "x" * 300_000
    heard = replace(
        said(odd), dedup=odd, message_id=odd, name=odd, identity=odd, quoted=QuotedMessage(odd, odd, odd), reply_to=odd
    )
    taken = await served.serving.inbox.accept(heard)
    assert taken.is_new
    assert not (await served.serving.inbox.accept(heard)).is_new
    assert storable(heard).dedup != storable(replace(heard, dedup=odd + "y")).dedup


async def test_chat_01_one_message_that_cannot_be_kept_fails_alone(served, capfd):
    inbox = served.serving.inbox
    bad = replace(said("the-secret-plan", 1), name={1, 2})  # type: ignore[arg-type]  # no JSON
    good = [said("/queue", n) for n in range(2, 5)]
    results = await asyncio.gather(*(inbox.accept(one) for one in (good[0], bad, *good[1:])), return_exceptions=True)
    assert [getattr(one, "is_new", None) for one in results] == [True, None, True, True]
    assert isinstance(results[1], PermanentError)
    out, err = capfd.readouterr()
    assert "the-secret-plan" not in out + err
