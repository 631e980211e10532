"""The services of conversations: scopes of channels, what a button may do where, and answers that are given once."""

from __future__ import annotations

from typing import Any

import pytest

from core.model.approval import Verdict
from core.model.card import DeliveredCard
from core.model.errors import CountersignError, NotFoundError, RefusedError
from core.model.inbox import InboxDelivery, InboxEntry, RecordedResponse
from core.model.place import Place, RepositoryScope
from core.model.turn import Actor
from core.services.card_buttons import CardButtons, PressedButton, new_button_id
from core.services.conversations import Conversations
from core.services.message_inbox import AnswerNote, MessageInbox
from core.services.requests import NewRequest
from core.services.task_document import TaskDocuments
from core.store import cards, inbox, messages, notes
from core.store.database import Database
from core.store.unit_of_work import Tx
from tests.builders import part_selection
from tests.clock import clock_ms, timed
from tests.service_harness import ServiceHarness

pytestmark = pytest.mark.surfaces

CHAT = Place("telegram", "-100")
ELSEWHERE = Place("telegram", "-200")
ANA = Actor("ana", "telegram")
OUTSIDER = Actor("lee", "telegram", scope=RepositoryScope(("docs",)))
DIGEST = "d" * 64


def _conversations(services) -> Conversations:
    return Conversations(services.database, lambda: services.settings)


@pytest.fixture
async def number(services: ServiceHarness) -> int:
    """A task of the repository `web` that is shown in the chat."""
    return await services.requests.ask(NewRequest(text="config/app.yaml = a: 1", actor=ANA, place=CHAT, reply_to="m1"))


async def card_of(database: Database, number: int) -> DeliveredCard:
    (card,) = await database.read(lambda tx: cards.of_task(tx, number))
    return card


# ---- scopes


@pytest.mark.parametrize(
    "call",
    [
        lambda services, number: services.requests.reply(number, "set b to 2 in x.yaml", OUTSIDER),
        lambda services, number: services.requests.pick(number, part_selection(DIGEST), OUTSIDER),
        lambda services, number: services.requests.check_speaking(number, OUTSIDER),
        lambda services, number: services.requests.cancel(number, OUTSIDER),
        lambda services, number: services.requests.merge(number, OUTSIDER),
        lambda services, number: services.requests.undo(number, OUTSIDER),
        lambda services, number: services.approvals.approve(number, DIGEST, OUTSIDER),
        lambda services, number: services.approvals.reject(number, "no", OUTSIDER),
        lambda services, number: services.approvals.obstacle(number, OUTSIDER, Verdict.REJECT, DIGEST),
        lambda services, number: TaskDocuments(services.database, lambda: services.settings).document(number, OUTSIDER),
        lambda services, number: _conversations(services).check_visible(number, OUTSIDER),
        lambda services, number: _conversations(services).show_card(number, ELSEWHERE, None, OUTSIDER),
    ],
    ids=[
        "reply",
        "pick",
        "check_speaking",
        "cancel",
        "merge",
        "undo",
        "approve",
        "reject",
        "obstacle",
        "document",
        "check_visible",
        "show_card",
    ],
)
async def test_a_task_outside_the_scope_of_a_conversation_is_not_found_there(services, number, call):
    before = await services.kinds(number)
    with pytest.raises(CountersignError) as caught:
        await call(services, number)
    assert caught.value.problem.code == "not_here"
    assert await services.kinds(number) == before, "nothing is recorded"
    assert [card.place for card in await services.database.read(lambda tx: cards.of_task(tx, number))] == [CHAT]


async def test_what_a_conversation_is_not_for_is_left_out_of_what_it_shows(services, number):
    conversations = _conversations(services)
    assert [task.number for task in await conversations.tasks_in(CHAT, ANA, 10)] == [number]
    assert await conversations.tasks_in(CHAT, OUTSIDER, 10) == ()


@pytest.mark.parametrize("named", ["web", None])
async def test_a_request_stays_within_the_repositories_of_its_conversation(services, named):
    """The only repository that is configured is not asked for where another one is discussed."""
    with pytest.raises(RefusedError) as caught:
        await services.requests.ask(NewRequest(text="config/app.yaml = a: 1", actor=outsider(), repo=named))
    assert caught.value.problem.code == "not_here"
    inside = Actor("ana", "telegram", scope=RepositoryScope(("web",)))
    number = await services.requests.ask(NewRequest(text="config/app.yaml = a: 1", actor=inside, repo=named))
    assert (await services.task(number)).repo == "web"


def outsider() -> Actor:
    """Someone in a channel that is listed for no repository."""
    return Actor("ana", "telegram", scope=RepositoryScope(()))


# ---- buttons


async def test_a_cut_card_gets_an_approve_only_once_its_whole_diff_was_delivered(services, number):
    buttons, card = CardButtons(services.database, lambda: services.settings), await card_of(services.database, number)
    early, late, reply = new_button_id(), new_button_id(), new_button_id()
    await buttons.record(card, 1, {("approve", DIGEST): early, ("reply", ""): reply}, hides_diff=True)
    assert await buttons.recorded(card, 1) == {("reply", ""): reply}
    with pytest.raises(NotFoundError):
        await buttons.pressed(early, CHAT, "101", ANA)
    await _conversations(services).whole_diff_delivered(number, CHAT, ["m2"], "e" * 64)
    await buttons.record(card, 1, {("approve", DIGEST): late}, hides_diff=True)
    with pytest.raises(NotFoundError):
        await buttons.pressed(late, CHAT, "101", ANA)
    await _conversations(services).whole_diff_delivered(number, CHAT, ["m3"], DIGEST)
    await buttons.record(card, 1, {("approve", DIGEST): late}, hides_diff=True)
    pressed = await buttons.pressed(late, CHAT, "101", ANA)
    assert isinstance(pressed, PressedButton)
    assert (pressed.button.kind, pressed.button.value, pressed.task.number) == ("approve", DIGEST, number)


async def test_a_card_that_shows_its_whole_diff_gets_an_approve_at_once(services, number):
    buttons, card = CardButtons(services.database, lambda: services.settings), await card_of(services.database, number)
    wanted = {("approve", DIGEST): new_button_id()}
    await buttons.record(card, 1, wanted, hides_diff=False)
    assert await buttons.recorded(card, 1) == wanted


async def test_a_button_works_only_in_the_channel_and_the_scope_where_it_was_shown(services, number):
    buttons, card = CardButtons(services.database, lambda: services.settings), await card_of(services.database, number)
    id_ = new_button_id()
    await buttons.record(card, 1, {("reply", ""): id_}, hides_diff=False)
    for place, actor in ((ELSEWHERE, ANA), (Place("slack", CHAT.channel), ANA), (CHAT, OUTSIDER)):
        with pytest.raises(NotFoundError):
            await buttons.pressed(id_, place, "101", actor)
    assert isinstance(await buttons.pressed(id_, Place("telegram", "-100", "7"), "101", ANA), PressedButton)


async def test_a_question_is_answered_by_those_who_were_asked(services, database):
    ((_, id_),) = await database.write(lambda tx: messages.offer(tx, CHAT, "101", "d1", [("#1", "/cancel 1")]))
    buttons = CardButtons(database, lambda: services.settings)
    with pytest.raises(RefusedError):
        await buttons.pressed(id_, CHAT, "102", ANA)
    with pytest.raises(NotFoundError):
        await buttons.pressed(id_, ELSEWHERE, "101", ANA)
    choice: Any = await buttons.pressed(id_, CHAT, "101", ANA)
    assert choice.line == "/cancel 1"


# ---- answers


async def test_a_delivery_that_two_processes_answer_is_answered_once(database):
    """The first one was suspended for longer than its lease, and a second one took over."""
    service = MessageInbox(database)
    await service.keep([InboxDelivery("telegram", "m:1", "heard", {"place": CHAT.to_json(), "text": "/queue"})])
    at_ms = await database.read(clock_ms)

    async def begin(tx: Tx, at_ms: int) -> InboxEntry:
        (entry,) = await inbox.begin(timed(tx, at_ms), 1)
        return entry

    first = await database.write(lambda tx: begin(tx, at_ms))
    second = await database.write(lambda tx: begin(tx, at_ms + inbox.LEASE_MS + 1))
    note = AnswerNote(CHAT, "The queue is empty.", "1", None, None, (), "101", "m:1")
    for entry, text in ((first, "late"), (second, "in time"), (second, "again")):
        await service.conclude(entry, RecordedResponse(text), note)
    assert await service.response_to(first.id) == RecordedResponse("in time")
    owed = await database.write(lambda tx: notes.begin(tx, "telegram", 10))
    assert [one.text for one in owed] == ["The queue is empty."]
