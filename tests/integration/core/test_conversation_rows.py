"""The rows behind conversations, on both databases: what is kept once, taken by one, and owed until it is shown."""

from __future__ import annotations

import asyncio
import random

import pytest

from core.model.card import DeliveredCard
from core.model.inbox import InboxDelivery, RecordedResponse
from core.model.note import Note
from core.model.place import Place
from core.services.card_buttons import CardButtons, new_button_id
from core.store import cards, identities, inbox, notes
from core.store.database import Database
from core.store.identities import LinkClaim
from core.store.outbox import LEASE_MS
from tests import builders, campaign
from tests.clock import clock_ms, timed
from tests.service_harness import ServiceHarness

pytestmark = pytest.mark.surfaces

CHAT = Place("telegram", "-100", "7")
ELSEWHERE = Place("telegram", "-200")


def delivery(n: int) -> InboxDelivery:
    return InboxDelivery("telegram", f"m:{n}", "heard", {"place": CHAT.to_json(), "text": str(n)})


async def now(database: Database) -> int:
    return await database.read(clock_ms)


async def keep(database: Database, *wanted: InboxDelivery) -> list[tuple[int, bool]]:
    async def work(tx):
        return await inbox.keep(tx, wanted)

    return await database.write(work)


async def test_the_same_delivery_is_kept_once_within_a_batch_and_between_batches(database):
    first = await keep(database, delivery(1), delivery(1), delivery(2))
    assert [new for _, new in first] == [True, False, True]
    again = await keep(database, delivery(2), delivery(3))
    assert [new for _, new in again] == [False, True]
    assert again[0][0] == first[2][0]


async def test_hosts_that_keep_the_same_delivery_at_once_keep_one(database):
    kept = await asyncio.gather(*(keep(database, delivery(n % 5)) for n in range(40)))
    assert sum(new for ((_, new),) in kept) == 5
    assert len({id_ for ((id_, _),) in kept}) == 5


async def test_each_delivery_is_accepted_by_one_until_its_time_is_over(database):
    await keep(database, *(delivery(n) for n in range(30)))
    at = await now(database)

    async def take(tx):
        return await inbox.begin(timed(tx, at), 10)

    async def host() -> list[int]:
        mine = []
        while batch := await database.write(take):
            mine += [kept.id for kept in batch]
        return mine

    ids = [id_ for mine in await asyncio.gather(*(host() for _ in range(6))) for id_ in mine]
    assert len(ids) == len(set(ids)) == 30
    assert await database.write(take) == []
    late = await database.write(lambda s: inbox.begin(timed(s, at + inbox.LEASE_MS + 1), 100))
    assert len(late) == 30, "whoever took them died, and another hears them"
    assert {kept.attempt for kept in late} == {2}


async def test_what_was_heard_is_known_until_it_is_pruned(database):
    ((id_, _),) = await keep(database, delivery(1))
    at = await now(database)
    (entry,) = await database.write(lambda s: inbox.begin(timed(s, at), 1))
    await database.write(lambda s: inbox.conclude(timed(s, at), entry, RecordedResponse("done")))
    assert await database.read(lambda s: inbox.response_to(s, id_)) == RecordedResponse("done")
    assert not (await keep(database, delivery(1)))[0][1]
    assert await database.write(lambda s: inbox.prune(s, at + 1)) == 1
    assert (await keep(database, delivery(1)))[0][1]


@pytest.fixture
async def number(services: ServiceHarness) -> int:
    """A task that is shown in the chat."""
    return await services.requests.ask(builders_request())


def builders_request():
    from core.services.requests import NewRequest

    return NewRequest(text="config/app.yaml = a: 1", actor=builders.ANA, place=CHAT, reply_to="m1")


async def begun(database: Database) -> list[DeliveredCard]:
    async def work(tx):
        return await cards.begin(timed(tx, tx.now_ms + 1), "telegram", 10)

    return await database.write(work)


async def test_a_card_that_changed_while_it_was_drawn_is_drawn_again(services, number):
    database = services.database
    (card,) = await begun(database)
    assert await begun(database) == [], "one draws it at a time"
    at = await now(database)
    await database.write(lambda s: cards.redraw(timed(s, at), number))
    await database.write(lambda s: cards.finish(timed(s, at), card))
    (again,) = await begun(database)
    await database.write(lambda s: cards.finish(timed(s, at), again))
    assert await begun(database) == []


async def test_every_step_of_a_task_makes_its_cards_due(services, number):
    database = services.database
    (card,) = await begun(database)
    at = await now(database)
    await database.write(lambda s: cards.finish(timed(s, at), card))
    assert await begun(database) == []
    await services.requests.cancel(number, builders.ANA)
    assert [c.number for c in await begun(database)] == [number]


async def test_a_card_that_waits_for_its_platform_still_waits_when_its_task_goes_on(services, number):
    database = services.database
    (card,) = await begun(database)
    at = await now(database)
    await database.write(lambda s: cards.put_off(s, card, at + 60_000, "slow down"))
    await services.requests.cancel(number, builders.ANA)
    assert await begun(database) == []
    await database.write(lambda s: cards.revive(timed(s, at), "telegram"))
    assert len(await begun(database)) == 1


async def test_buttons_keep_their_ids_and_are_not_to_be_guessed(services, number):
    database = services.database
    (card,) = await begun(database)
    buttons = CardButtons(database, lambda: services.settings)
    first = {("approve", "d" * 64): new_button_id(), ("reply", ""): new_button_id()}
    await buttons.record(card, 1, first, hides_diff=False)
    assert await buttons.recorded(card, 1) == first
    assert await buttons.recorded(card, 2) == {}
    assert all(len(id_) == 22 for id_ in first.values())
    found = await database.read(lambda s: cards.button(s, first["approve", "d" * 64]))
    assert (found.number, found.revision, found.kind) == (number, 1, "approve")
    assert await database.read(lambda s: cards.button(s, "A" * 22)) is None


async def test_a_channel_that_moves_takes_its_cards_along(services, number):
    await services.database.write(lambda s: cards.move_channel(s, "telegram", "-100", "-1009"))
    (card,) = await services.database.read(lambda s: cards.of_task(s, number))
    assert card.place.channel == "-1009"


async def heads(database: Database, at: int, limit: int = 10) -> list[Note]:
    return await database.write(lambda s: notes.begin(timed(s, at), "telegram", limit))


async def test_the_oldest_note_of_each_channel_is_sent_and_the_rest_wait_behind_it(database):
    at = await now(database)
    for place, text in ((CHAT, "0"), (CHAT, "1"), (ELSEWHERE, "2"), (CHAT, "3")):
        await database.write(lambda s, p=place, t=text: notes.add(timed(s, at), p, t))
    first = await heads(database, at)
    assert [note.text for note in first] == ["0", "2"]
    assert await heads(database, at) == []
    await database.write(lambda s: notes.finish(s, first[0], notes.SENT))
    assert [note.text for note in await heads(database, at)] == ["1"]
    late = await heads(database, at + LEASE_MS + 1)
    assert [note.text for note in late] == ["1", "2"], "their sender died"


@campaign.EITHER
@pytest.mark.parametrize("seed", range(8 if campaign.WHOLE else 4))
async def test_whatever_is_put_off_the_order_within_a_channel_holds(database, seed):
    """Notes arrive, are put off for various times, and are sent, in random order of these."""
    chance, at, added, sent, in_hand = random.Random(seed), await now(database), 0, [], []

    async def put_off(note: Note, due_ms: int) -> None:
        await database.write(lambda s: notes.put_off(s, note, due_ms))

    async def finish(note: Note) -> None:
        await database.write(lambda s: notes.finish(s, note, notes.SENT))
        sent.append(note.text)

    async def add(text: str, at_ms: int) -> None:
        await database.write(lambda s: notes.add(timed(s, at_ms), CHAT, text))

    while len(sent) < 15:
        match chance.choice(["add", "take", "put off", "finish", "wait"]):
            case "add" if added < 15:
                await add(f"{added}", at)
                added += 1
            case "take":
                in_hand += await heads(database, at)
            case "put off" if in_hand:
                await put_off(in_hand.pop(), at + chance.randrange(100))
            case "finish" if in_hand:
                await finish(in_hand.pop())
            case "wait":
                at += chance.randrange(100)
    assert sent == [f"{n}" for n in range(15)]


async def test_a_note_that_the_platform_refuses_holds_back_nothing(database):
    at = await now(database)
    for n in range(2):
        await database.write(lambda s, n=n: notes.add(timed(s, at), CHAT, f"{n}"))
    (refused,) = await heads(database, at)
    await database.write(lambda s: notes.put_off(s, refused, at + 60_000, in_order=False))
    assert [note.text for note in await heads(database, at)] == ["1"]
    assert [note.text for note in await heads(database, at + 60_001)] == ["0", "1"]


async def test_a_channel_that_moves_takes_its_notes_along_and_a_surface_that_is_back_sends_them_at_once(database):
    at = await now(database)
    await database.write(lambda s: notes.add(timed(s, at), CHAT, "0"))
    (note,) = await heads(database, at)
    await database.write(lambda s: notes.put_off(s, note, at + 300_000))
    await database.write(lambda s: notes.move_channel(s, "telegram", CHAT.channel, "-1009"))
    assert await heads(database, at) == []
    await database.write(lambda s: notes.revive(timed(s, at), "telegram"))
    (moved,) = await heads(database, at)
    assert moved.place.channel == "-1009"


async def test_the_first_posts_of_cards_keep_the_order_of_their_tasks(services):
    database = services.database
    for _ in range(3):
        await services.requests.ask(builders_request())
    (first,) = await begun(database)
    at = await now(database)
    await database.write(lambda s: cards.put_off(s, first, at + 60_000, "slow down"))
    assert await begun(database) == [], "the second card does not overtake the first"
    await database.write(lambda s: cards.revive(timed(s, at), "telegram"))
    (first,) = await begun(database)
    await database.write(lambda s: cards.put_off(s, first, at + 60_000, "refused", in_order=False))
    (second,) = await begun(database)
    assert second.number == first.number + 1
    await database.write(lambda s: cards.posted(timed(s, at), second, "m2", 1))
    (third,) = await begun(database)
    assert third.number == first.number + 2


async def test_a_code_is_kept_as_a_hash_and_has_five_tries(database):
    at = await now(database)
    claim = LinkClaim("slack", "T1/U1", "lee", 0, at + 1000)
    await database.write(lambda s: identities.open_claim(s, "ABCD2345", claim))
    assert (await database.read(lambda s: identities.claim_of(s, "abcd2345"))).identity == "T1/U1"
    for _ in range(5):
        await database.write(lambda s: identities.count_wrong(s, "lee", 5))
    assert await database.read(lambda s: identities.claim_of(s, "ABCD2345")) is None
