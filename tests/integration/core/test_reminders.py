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
from tests.workbench import Workbench

pytestmark = [pytest.mark.queue, campaign.EITHER]

CHAT = Place("telegram", "-100", None)
HOUR_S = 3600


@pytest.fixture
def bench(bench: Workbench) -> Workbench:
    """A bench whose rule reminds every four hours and asks the owner too after a day."""
    people = builders.people(ana="member", lee="maintainer", olga="owner")
    bench.configure(people=people)
    bench.policy.terms = builders.terms(
        approvers=("lee",), remind_s=4 * HOUR_S, escalate_s=24 * HOUR_S, escalate_to=("owner",), expires_s=72 * HOUR_S
    )
    return bench


async def wait_hours(bench: Workbench, hours: float) -> None:
    """Let the database think that so much time went by."""
    ms = round(hours * HOUR_S * 1000)
    move = f"UPDATE tasks SET expires_ms = expires_ms - {ms}, nudge_ms = nudge_ms - {ms}"
    await bench.database.write(lambda tx: tx.session.execute(text(move)))
    await bench.worker().reconciler.sweep()


async def said(bench: Workbench) -> list[str]:
    async def look(tx):
        return [note.text for note in await notes.begin(timed(tx, 1 << 52), "telegram", 50)]

    return await bench.database.write(look)


async def staged(bench: Workbench) -> tuple[int, str]:
    number = await bench.ask(place=CHAT)
    await bench.drain()
    return number, await digest_of(bench, number)


async def digest_of(bench: Workbench, number: int) -> str:
    staged = (await bench.task(number)).staged
    assert staged is not None
    return staged.digest


async def test_people_are_reminded_where_the_card_is_and_told_who_could_decide(bench):
    await staged(bench)
    await wait_hours(bench, 3.9)
    assert await said(bench) == []
    await wait_hours(bench, 0.2)
    (words,) = await said(bench)
    assert words.startswith("Reminder: #1 waits for lee.")


async def test_nobody_is_reminded_twice_for_one_time(bench):
    number, _ = await staged(bench)
    await wait_hours(bench, 4.1)
    await bench.worker().reconciler.sweep()
    await bench.worker().reconciler.sweep()
    assert (await bench.kinds(number)).count("task.reminded") == 1


async def test_after_a_day_the_next_people_may_approve_too_and_not_before(bench):
    number, digest = await staged(bench)
    olga = Actor("olga", "terminal")
    assert (await bench.approvals.approve(number, digest, olga)).problem.code == "may_not_approve"
    await wait_hours(bench, 24.1)
    assert "task.escalated" in await bench.kinds(number)
    assert "owner may approve it too" in (await said(bench))[-1]
    assert (await bench.approvals.approve(number, digest, olga)).problem is None
    assert await bench.state(number) is State.APPROVED


async def test_a_day_when_nobody_looked_is_one_reminder_and_one_escalation(bench):
    number, _ = await staged(bench)
    await wait_hours(bench, 30)
    await bench.worker().reconciler.sweep()
    assert [k for k in await bench.kinds(number) if k in ("task.reminded", "task.escalated")] == ["task.escalated"]


async def test_in_the_end_it_expires_and_that_is_no_rejection(bench):
    number, _ = await staged(bench)
    await wait_hours(bench, 73)
    assert await bench.state(number) is State.EXPIRED


async def test_what_was_decided_is_not_reminded_of(bench):
    number, digest = await staged(bench)
    await bench.approvals.approve(number, digest, LEE)
    await wait_hours(bench, 5)
    assert "task.reminded" not in await bench.kinds(number)


async def test_a_new_revision_begins_its_wait_anew(bench):
    number, _ = await staged(bench)
    await wait_hours(bench, 24.1)
    await bench.requests.reply(number, "config/app.yaml = a: 2", builders.ANA)
    await bench.drain()
    assert not (await bench.task(number)).escalated
    olga = Actor("olga", "terminal")
    digest = await digest_of(bench, number)
    assert (await bench.approvals.approve(number, digest, olga)).problem.code == "may_not_approve"
