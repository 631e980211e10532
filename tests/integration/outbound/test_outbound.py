"""Events told to receivers: each once, in order, signed, tried again, and with no one's words in them."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update
from sqlmodel import col, select
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from bot.integrations.webhooks.client import CheckedClient
from bot.integrations.webhooks.hooks import Hook
from bot.integrations.webhooks.sender import TRIES, WAITS_S, WebhookSender
from bot.integrations.webhooks.sign import DELIVERY, EVENT, SIGNATURE, TIMESTAMP, sign, sign_standard
from core.model.webhook_delivery import DUE, FAILED, SENT
from core.services.requests import NewRequest
from core.services.webhooks import Webhooks
from core.store import deliveries, events
from core.store.message_tables import DeliveryRow
from core.store.tables import EventRow
from tests import campaign
from tests.builders import ANA
from tests.clock import clock_ms, timed
from tests.integration.outbound.receiver import OK, Receiver, answer
from tests.service_harness import ServiceHarness

pytestmark = [pytest.mark.surfaces, campaign.EITHER]

SECRET = "a-secret-of-many-characters"
WORDS = "set the-word to 1 in x.yaml"


@pytest.fixture
def services(database):
    return ServiceHarness(database)


def hook(receiver: Receiver, name: str = "ci", **others) -> Hook:
    return Hook(name, receiver.url(path=f"/{name}"), SECRET, allow_private=True, **others)


def outbound(database, *hooks: Hook, **others) -> WebhookSender:
    return WebhookSender(Webhooks(database), lambda: hooks, poll_s=0.02, **others)


async def happen(database, kind, body=None):
    async def work(tx):
        await events.append(tx, number=0, kind=kind, body=body)

    await database.write(work)


async def rows(database):
    async def work(tx):
        return list((await tx.session.exec(select(DeliveryRow).order_by(col(DeliveryRow.event_id)))).all())

    return await database.read(work)


async def all_due(database) -> None:
    """What was put off is due, and every lease is over."""
    await database.write(lambda tx: tx.session.execute(update(DeliveryRow).values(due_ms=0, held_ms=0)))


async def test_a_new_event_is_told_signed_with_its_task(services, database):
    async with Receiver() as receiver:
        out = outbound(database, hook(receiver))
        await out.round()
        await services.requests.ask(NewRequest(text=WORDS, actor=ANA))
        await out.round()
        (got,) = receiver.got
        told = json.loads(got.body)
        assert (told["event"]["kind"], told["event"]["task"], told["task"]["number"]) == ("task.requested", 1, 1)
        assert told["task"]["requester"] == "ana"
        assert got.headers[EVENT.lower()] == "task.requested"
        assert got.headers[DELIVERY.lower()] == (await rows(database))[0].id
        sent_s = int(got.headers[TIMESTAMP.lower()])
        assert abs(sent_s - time.time()) < 60
        signature = got.headers[SIGNATURE.lower()]
        assert is_signed(SECRET, sent_s, got.body, signature)
        assert not is_signed(SECRET, sent_s + 1, got.body, signature)
        assert not is_signed(SECRET, sent_s, got.body + b" ", signature)
        assert not is_signed("another-secret", sent_s, got.body, signature)


@pytest.mark.parametrize("secret", [f"whsec_{base64.b64encode(bytes(range(32))).decode()}", SECRET])
async def test_the_library_of_standard_webhooks_verifies_a_message_and_refuses_changed_ones(database, secret):
    async with Receiver() as receiver:
        out = outbound(database, Hook("ci", receiver.url(), secret, allow_private=True))
        await out.round()
        await happen(database, "queue.paused", {"reason": "späť ☂"})
        await out.round()
        (got,) = receiver.got
        theirs = secret if secret.startswith("whsec_") else f"whsec_{base64.b64encode(secret.encode()).decode()}"
        assert Webhook(theirs).verify(got.body, got.headers)["event"]["kind"] == "queue.paused"
        assert got.headers["webhook-id"] == got.headers[DELIVERY.lower()]
        later = str(int(got.headers["webhook-timestamp"]) + 1)
        for body, headers in (
            (got.body + b" ", {}),
            (got.body, {"webhook-id": "delivery_other"}),
            (got.body, {"webhook-timestamp": later}),
            (got.body, {"webhook-signature": "v1," + base64.b64encode(b"x" * 32).decode()}),
        ):
            with pytest.raises(WebhookVerificationError):
                Webhook(theirs).verify(body, {**got.headers, **headers})


def test_the_vector_of_the_standard_webhooks_specification_is_signed_as_published():
    """From the documents of the scheme's reference libraries."""
    signature = sign_standard(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_words_are_told_only_where_that_was_asked_for(services, database):
    async with Receiver() as receiver:
        out = outbound(database, hook(receiver, "plain"), hook(receiver, "full", include_text=True))
        await out.round()
        await services.requests.ask(NewRequest(text=WORDS, actor=ANA))
        await happen(database, "schedule.refused", {"problem": "the-word is wrong", "code": "x", "new": "the-word"})
        while await out.round():
            pass
        by_path = {path: b"".join(g.body for g in receiver.got if path in g.line) for path in ("plain", "full")}
        assert b"the-word" in by_path["full"]
        assert b"the-word" not in by_path["plain"]
        assert b'"withheld":["text"]' in by_path["plain"]
        assert b'"code":"x"' in by_path["plain"]
        assert SECRET.encode() not in by_path["plain"] + by_path["full"]


async def test_nobody_is_told_what_was_before_or_what_they_did_not_ask_for(database):
    await happen(database, "queue.paused")
    async with Receiver() as receiver:
        out = outbound(database, hook(receiver, events=("task.*", "queue.resumed")))
        while await out.round():
            pass
        await happen(database, "queue.paused")
        await happen(database, "queue.resumed")
        while await out.round():
            pass
        assert [json.loads(g.body)["event"]["kind"] for g in receiver.got] == ["queue.resumed"]


async def test_two_hosts_tell_each_event_once(database):
    async with Receiver() as receiver:
        hosts = [outbound(database, hook(receiver, "a"), hook(receiver, "b")) for _ in range(3)]
        await hosts[0].round()
        for n in range(6):
            await happen(database, f"test.n{n}")
        for _ in range(12):
            await asyncio.gather(*(host.round() for host in hosts))
        for name in ("a", "b"):
            kinds = [json.loads(g.body)["event"]["kind"] for g in receiver.got if f"/{name} " in g.line]
            assert kinds == [f"test.n{n}" for n in range(6)]


async def test_order_is_kept_while_one_is_tried_again_and_others_do_not_wait(database):
    async with Receiver(answers=lambda n: answer(503) if n == 1 else OK) as bad, Receiver() as good:
        out = outbound(database, hook(bad, "bad"), hook(good, "good"))
        await out.round()
        for n in range(3):
            await happen(database, f"test.n{n}")
        for _ in range(4):
            await out.round()
        assert len(good.got) == 3
        assert len(bad.got) == 1
        await all_due(database)
        for _ in range(4):
            await out.round()
        kinds = [json.loads(g.body)["event"]["kind"] for g in bad.got]
        assert kinds == ["test.n0", "test.n0", "test.n1", "test.n2"]
        assert bad.got[0].headers[DELIVERY.lower()] == bad.got[1].headers[DELIVERY.lower()]
        assert bad.got[0].body == bad.got[1].body


async def test_eight_tries_and_then_the_next_one(database):
    async with Receiver(answers=lambda n: answer(500) if n <= TRIES else OK) as receiver:
        out = outbound(database, hook(receiver))
        await out.round()
        await happen(database, "test.first")
        await happen(database, "test.second")
        for attempt in range(TRIES):
            before_ms = await database.read(clock_ms)
            await out.round()
            first = (await rows(database))[0]
            assert first.attempt == attempt + 1
            if attempt + 1 < TRIES:
                assert first.state == DUE
                wait_s = (first.due_ms - before_ms) / 1000
                assert WAITS_S[attempt] <= wait_s <= WAITS_S[attempt] * 1.1 + 30
                await all_due(database)
        first, second = await rows(database)
        assert (first.state, second.state) == (FAILED, DUE)
        assert "8 times" in (first.problem or "")
        await out.round()
        assert (await rows(database))[1].state == SENT
        assert await database.read(deliveries.counts) == {("ci", "failed"): 1, ("ci", "sent"): 1}
    assert sum(WAITS_S) * 1.1 < 24 * 3600


async def test_a_receiver_that_says_no_is_not_asked_again(database):
    async with Receiver(answers=lambda _n: answer(404)) as receiver:
        out = outbound(database, hook(receiver))
        await out.round()
        await happen(database, "test.one")
        for _ in range(3):
            await out.round()
        assert len(receiver.got) == 1
        assert (await rows(database))[0].state == FAILED
        assert "404" in ((await rows(database))[0].problem or "")


async def test_a_private_address_is_never_called(database):
    async with Receiver() as receiver:
        out = outbound(database, Hook("ci", receiver.url().replace("http:", "https:"), SECRET))
        await out.round()
        await happen(database, "test.one")
        await out.round()
        assert receiver.got == []
        (row,) = await rows(database)
        assert row.state == FAILED
        assert "not called" in (row.problem or "")


async def test_what_died_with_its_host_is_told_by_another(database):
    async with Receiver() as receiver:
        out = outbound(database, hook(receiver))
        await out.round()
        await happen(database, "test.one")
        await out.hand_out()

        async def taken(tx):
            return await deliveries.begin(tx, 5)

        (held,) = await database.write(taken)  # and then the host dies
        assert await out.deliver() == 0
        await all_due(database)
        assert await out.deliver() == 1

        async def late(tx):
            return await deliveries.conclude(timed(tx, 1), held, FAILED, "late")

        assert not await database.write(late)
        assert (await rows(database))[0].state == SENT


async def test_a_hook_that_is_gone_is_owed_nothing(database):
    async with Receiver() as receiver:
        out = outbound(database, hook(receiver))
        await out.round()
        await happen(database, "test.one")
        await out.hand_out()
        await outbound(database, hook(receiver, "other")).round()
        assert receiver.got == []
        assert (await rows(database))[0].state == FAILED


async def test_an_event_that_is_committed_late_is_not_passed_over(database):
    """PostgreSQL may commit event 8 before event 7; a reader then must wait for 7."""
    async with Receiver() as receiver:
        out = outbound(database, hook(receiver))
        await out.round()
        await happen(database, "test.one")
        while await out.round():
            pass

        def row(event_id: int, seq: int, at_ms: int) -> EventRow:
            return EventRow(id=event_id, number=0, seq=seq, kind=f"test.n{event_id}", at_ms=at_ms, body="{}",
                            previous="", hash="")  # fmt: skip

        async def later(tx):
            (last,) = (await rows(database))[-1:]
            tx.session.add(row(last.event_id + 2, 900, tx.now_ms))
            return last.event_id

        last_id = await database.write(later)
        assert not await out.round()
        await database.write(lambda tx: add(tx, row(last_id + 1, 800, 0)))
        for _ in range(3):
            await out.round()
        assert [row.event_id for row in await rows(database)] == [last_id, last_id + 1, last_id + 2]

        await database.write(lambda tx: add(tx, row(last_id + 5, 950, 0)))  # 3 and 4 were rolled back
        await out.round()
        assert (await rows(database))[-1].event_id == last_id + 5


async def add(tx, row) -> None:
    tx.session.add(row)


async def test_the_loop_tells_what_happens_while_it_runs(database):
    async with Receiver() as receiver:
        running = asyncio.create_task(outbound(database, hook(receiver), client=CheckedClient()).run())
        async with asyncio.timeout(20):
            while await database.read(deliveries.cursor) is None:  # noqa: ASYNC110 - it is polled, as by any client
                await asyncio.sleep(0.01)
            await happen(database, "test.one")
            while not receiver.got:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


def is_signed(secret: str, timestamp_s: int, body: bytes, signature: str) -> bool:
    """Whether the signature is valid, computed as docs/webhooks.md tells a receiver to."""
    mac = hmac.new(secret.encode(), str(timestamp_s).encode() + b"." + body, "sha256")
    return hmac.compare_digest(f"sha256={mac.hexdigest()}".encode(), signature.encode("utf-8", "replace"))


@given(st.text(min_size=1), st.integers(0, 2**40), st.binary(max_size=100), st.text(max_size=80))
def test_only_the_right_secret_time_and_body_verify(secret, at_s, body, other):
    secret = secret.encode("utf-8", "replace").decode()
    signature = sign(secret, at_s, body)
    assert is_signed(secret, at_s, body, signature)
    assert not is_signed(secret, at_s, body, other)
    assert not is_signed(secret, at_s, body + b"x", signature)


def test_an_empty_secret_signs_nothing():
    with pytest.raises(ValueError, match="empty"):
        sign("", 1, b"")
