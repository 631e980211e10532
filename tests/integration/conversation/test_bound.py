"""Every message of ours stays bound to its task; where several are open, it is asked which (chat.md 6, 7, 14)."""

from __future__ import annotations

import pytest

from bot.surfaces.port import Place
from core.model.lifecycle import State
from tests import campaign
from tests.fakes.surface import Message
from tests.integration.conversation.conftest import WHERE
from tests.served_home import ASK, IDS, ServedHome

pytestmark = pytest.mark.surfaces

HOST = "set server.host to {} in config/app.yaml"
GROUP = WHERE["telegram"]


async def revision(serve_home: ServedHome, number: int, wanted: int) -> None:
    """Wait until task `number` is staged at this revision, and no task more was made."""
    name = (await serve_home.task(number)).surface
    await serve_home.until(lambda: serve_home.memory(name).cards[-1].shown.revision == wanted, f"revision {wanted}")
    await serve_home.card(number, "staged", name)
    assert (await serve_home.task(number)).revision == wanted


@campaign.BY_TURNS("name")
@pytest.mark.parametrize("name", ["telegram", "slack"])
async def test_chat_06_a_reply_to_any_message_of_ours_is_about_its_task(served: ServedHome, name: str) -> None:
    """An older card, a file, an answer, a refusal, the word to the approvers; in a place without threads."""
    where = Place(name, "-100" if name == "telegram" else "D101", None, private=name == "slack")
    chat = served.memory(name)
    card = await served.staged(where)
    await served.says("bo", "/diff 1", where)
    await served.says("bo", "/why 1", where)
    await served.says("lee", "lgtm", where, reply_to=card.id)
    await served.until(lambda: len(chat.words) >= 3, "three answers")
    ours = [message for message in chat.messages.values() if message.card is None]
    assert any(message.files for message in ours)
    for n, message in enumerate([card, *ours], start=2):
        await served.says("ana", HOST.format(f"h{n}"), where, reply_to=message.id)
        await revision(served, 1, n)
    assert {message.shown.number for message in chat.cards} == {1}


async def test_chat_06_a_slack_thread_that_began_with_a_card_is_that_tasks(served: ServedHome) -> None:
    """A slash command is no message, so its card begins a thread; a later one there is another task's."""
    channel = Place("slack", "C1", None)
    card = await served.staged(channel)
    thread = Place("slack", "C1", card.id)
    await served.says("ana", HOST.format("b"), thread, addressed=False, reply_to=card.id)
    await revision(served, 1, 2)
    await served.says("bo", f"/task {ASK.replace('30', '31')}", thread)
    await served.card(2, "staged", "slack")
    await served.says("ana", HOST.format("c"), thread, reply_to=card.id)
    await served.until(lambda: served.memory("slack").cards[-1].shown.revision == 3, "revision 3")
    assert (await served.task(2)).revision == 1


async def test_chat_06_a_plain_reply_below_a_card_that_answers_a_mention_is_accepted(served: ServedHome) -> None:
    where = WHERE["slack"]
    await served.staged(where)
    await served.says("ana", HOST.format("b"), where, addressed=False)
    await revision(served, 1, 2)


@campaign.BY_TURNS("name")
@pytest.mark.parametrize("name", list(WHERE))
async def test_chat_07_a_command_without_a_number_asks_which_task(served: ServedHome, name: str) -> None:
    where = WHERE[name]
    await served.staged(where)
    await served.says("bo", f"/task {ASK.replace('30', '31')}", where)
    await served.card(2, "staged", name)
    lines = ["/cancel", "/undo", "/merge", "/reject too long", "/approve", "/show", "/diff", "/why", "/retry", "/pick"]
    lines += ["/reply use port 8080", "cancel", "/approve 123456789012345678901234"]
    if name != "telegram":
        lines.append(HOST.format("b"))  # words in a thread of two tasks
    for line in lines:
        answer = await served.says("ana", line, where)
        assert answer.refused, line
        assert "Which one" in answer.text, (line, answer.text)
        assert "#1 " in answer.text
        assert "#2 " in answer.text
        assert len(answer.choices) == 2
    assert [(await served.task(n)).state for n in (1, 2)] == [State.STAGED, State.STAGED]
    assert [(await served.task(n)).revision for n in (1, 2)] == [1, 1]


async def asked_which(serve_home: ServedHome, line: str) -> Message:
    """The message that asks which of two tasks ana means."""
    await serve_home.staged(GROUP)
    await serve_home.says("bo", ASK.replace("30", "31"), GROUP)
    await serve_home.card(2, "staged")
    await serve_home.says("ana", line, GROUP)

    def question() -> Message | None:
        return next((m for m in serve_home.memory().messages.values() if "Which one" in m.text), None)

    asked: Message = await serve_home.until(question, "the question")
    return asked


async def test_chat_07_the_answer_is_a_button_away_and_only_for_whoever_was_asked(served: ServedHome) -> None:
    question = await asked_which(served, "/cancel")
    assert [label[:3] for label in question.buttons] == ["#2 ", "#1 "]
    assert (await served.clicks("lee", question, "#1")).refused, "lee was not asked"
    assert (await served.task(1)).state is State.STAGED
    answer = await served.clicks("ana", question, "#1")
    assert answer.text == "#1 is cancelled."
    assert (await served.task(2)).state is State.STAGED
    press = served.memory().clicks(IDS["telegram"]["ana"], question, "#2")
    elsewhere = press.__class__(**{**{n: getattr(press, n) for n in press.__slots__}, "place": Place("telegram", "-9")})
    assert (await served.deliver(elsewhere)).refused, "another chat's button"


async def test_chat_07_the_buttons_have_one_effect_between_them(served: ServedHome) -> None:
    question = await asked_which(served, "/reply set server.host to b in config/app.yaml")
    await served.clicks("ana", question, "#1")
    await served.until(lambda: any(c.shown.revision == 2 for c in served.memory().cards), "a revision")
    await served.clicks("ana", question, "#2")
    await served.clicks("ana", question, "#1")
    assert [(await served.task(n)).revision for n in (1, 2)] == [2, 1]


@campaign.BY_TURNS("name")
@pytest.mark.parametrize("name", list(WHERE))
async def test_chat_07_with_one_open_task_it_is_that_one(served: ServedHome, name: str) -> None:
    where = WHERE[name]
    await served.staged(where)
    await served.says("ana", "/cancel", where)
    await served.card(1, "cancelled", name)
    await served.says("ana", f"/task {ASK.replace('30', '31')}", where)
    await served.card(2, "staged", name)
    assert (await served.says("ana", "/cancel", where)).text == "#2 is cancelled."


async def test_chat_07_where_no_task_is_the_number_is_asked_for(served: ServedHome) -> None:
    answer = await served.says("ana", "/cancel", GROUP)
    assert answer.refused
    assert "number" in answer.text


async def test_chat_14_the_former_card_goes_quiet_when_it_is_shown_again(served: ServedHome) -> None:
    card = await served.staged(GROUP)
    chat = served.memory()
    await served.says("bo", "/show 1", GROUP)
    await served.until(lambda: len(chat.cards) == 2, "the card again")
    await served.until(lambda: not chat.messages[card.id].buttons, "the former one without buttons")
    assert "shown again" in chat.messages[card.id].shown.superseded_note
    again = await served.card(1, "staged")
    assert again.id != card.id
    assert not (await served.clicks("lee", again, "Approve")).refused
    await served.card(1, "published")
    assert chat.messages[card.id].shown.superseded_note, "it stays quiet"


async def test_chat_14_shown_twice_before_it_is_drawn_only_the_last_is_live(served: ServedHome) -> None:
    await served.staged(GROUP)
    chat = served.memory()
    await served.says("bo", "/show 1", GROUP)
    await served.says("lee", "/show 1", GROUP)
    await served.until(lambda: len(chat.cards) >= 2 and chat.cards[-1].buttons, "the card again")
    await served.until(lambda: sum(bool(card.buttons) for card in chat.cards) == 1, "one live card")
