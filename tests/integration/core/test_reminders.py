"""What waits for a person: reminders, then the next people, then expiry, each once and by the database's clock."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from core.model.lifecycle import State
from core.model.place import Place
from core.model.turn import Actor
from core.store import notes
from tests import builders, campaign
from tests.builders import LEE
from tests.clock import timed
from tests.worker_harness import WorkerHarness

pytestmark = [pytest.mark.queue, campaign.EITHER]

CHAT = Place("telegram", "-100", None)
HOUR_S = 3600


@pytest.fixture
def harness(harness: WorkerHarness) -> WorkerHarness:
    """A bench whose rule reminds every four hours and asks the owner too after a day."""
    people = builders.people(ana="member", lee="maintainer", olga="owner")
    harness.configure(people=people)
    harness.policy.terms = builders.terms(
        approvers=("lee",), remind_s=4 * HOUR_S, escalate_s=24 * HOUR_S, escalate_to=("owner",), expires_s=72 * HOUR_S
    )
    return harness


async def wait_hours(harness: WorkerHarness, hours: float) -> None:
    """Let the database think that so much time went by."""
    ms = round(hours * HOUR_S * 1000)
    move = f"UPDATE tasks SET expires_ms = expires_ms - {ms}, nudge_ms = nudge_ms - {ms}"
    await harness.database.write(lambda tx: tx.session.execute(text(move)))
    await harness.worker().reconciler.sweep()


async def said(harness: WorkerHarness) -> list[str]:
    async def look(tx):
        return [note.text for note in await notes.begin(timed(tx, 1 << 52), "telegram", 50)]

    return await harness.database.write(look)


async def staged(harness: WorkerHarness) -> tuple[int, str]:
    number = await harness.ask(place=CHAT)
    await harness.drain()
    return number, await digest_of(harness, number)


async def digest_of(harness: WorkerHarness, number: int) -> str:
    staged = (await harness.task(number)).staged
    assert staged is not None
    return staged.digest


async def test_people_are_reminded_where_the_card_is_and_told_who_could_decide(harness):
    await staged(harness)
    await wait_hours(harness, 3.9)
    assert await said(harness) == []
    await wait_hours(harness, 0.2)
    (words,) = await said(harness)
    assert words.startswith("Reminder: #1 waits for lee.")


async def test_nobody_is_reminded_twice_for_one_time(harness):
    number, _ = await staged(harness)
    await wait_hours(harness, 4.1)
    await harness.worker().reconciler.sweep()
    await harness.worker().reconciler.sweep()
    assert (await harness.kinds(number)).count("task.reminded") == 1


async def test_after_a_day_the_next_people_may_approve_too_and_not_before(harness):
    number, digest = await staged(harness)
    olga = Actor("olga", "terminal")
    assert (await harness.approvals.approve(number, digest, olga)).problem.code == "may_not_approve"
    await wait_hours(harness, 24.1)
    assert "task.escalated" in await harness.kinds(number)
    assert "owner may approve it too" in (await said(harness))[-1]
    assert (await harness.approvals.approve(number, digest, olga)).problem is None
    assert await harness.state(number) is State.APPROVED


async def test_a_day_when_nobody_looked_is_one_reminder_and_one_escalation(harness):
    number, _ = await staged(harness)
    await wait_hours(harness, 30)
    await harness.worker().reconciler.sweep()
    assert [k for k in await harness.kinds(number) if k in ("task.reminded", "task.escalated")] == ["task.escalated"]


async def test_in_the_end_it_expires_and_that_is_no_rejection(harness):
    number, _ = await staged(harness)
    await wait_hours(harness, 73)
    assert await harness.state(number) is State.EXPIRED


async def test_what_was_decided_is_not_reminded_of(harness):
    number, digest = await staged(harness)
    await harness.approvals.approve(number, digest, LEE)
    await wait_hours(harness, 5)
    assert "task.reminded" not in await harness.kinds(number)


async def test_a_new_revision_begins_its_wait_anew(harness):
    number, _ = await staged(harness)
    await wait_hours(harness, 24.1)
    await harness.requests.reply(number, "config/app.yaml = a: 2", builders.ANA)
    await harness.drain()
    assert not (await harness.task(number)).escalated
    olga = Actor("olga", "terminal")
    digest = await digest_of(harness, number)
    assert (await harness.approvals.approve(number, digest, olga)).problem.code == "may_not_approve"
