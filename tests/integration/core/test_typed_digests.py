"""A typed digest: long enough, of one digest alone, and shown where it is typed (guard 2, security.md 146)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.model.errors import Kind
from core.model.lifecycle import State
from core.model.place import Place
from core.model.staged_diff import TYPED_DIGITS, StagedDiff, short_digest
from core.model.task import Basis
from core.model.turn import Actor
from core.store import cards, events, tasks
from tests import builders, campaign
from tests.builders import LEE, put_staged, staged

pytestmark = [pytest.mark.law, campaign.EITHER]

SHARED = "0123456789abcdef0123"
FIRST, SECOND = SHARED + "1" * 44, SHARED + "2" * 44
"""Two digests of one task that an attacker searched for: they begin alike as far as people type."""
CHAT = Place("telegram", "-100", None)
LEE_THERE = Actor("lee", "telegram")


def named(digest: str) -> StagedDiff:
    """What is staged under a digest that no one computed: as an older version stored it, without the files' hashes."""
    diff = staged()
    files = tuple({key: value for key, value in file.items() if "sha256" not in key} for file in diff.files)
    return replace(diff, digest=digest, files=files)


async def revise(services, number: int, digest: str, n: int = 2) -> None:
    """The next revision of a task, staged with this digest."""

    async def work(tx):
        task = await tasks.load(tx, number)
        await tasks.begin_revision(tx, number, n, tx.now_ms, "ana", Basis((n,)))
        decided = {"lane": "config", "terms": builders.terms().to_json(), "policy_digest": "0" * 64}
        await tasks.save_revision(tx, number, n, {**decided, "staged": named(digest).to_json()})
        await tasks.save(tx, task, {"revision": n, "digest": digest})

    await services.database.write(work)


async def two_alike(services) -> int:
    """A task whose two revisions have digests that begin alike; the second is staged."""
    number = await builders.put_task(services.database, State.STAGED, diff=named(FIRST))
    await revise(services, number, SECOND)
    return number


async def put_card(services, number: int, place: Place, delivered: str | None, message_id: str = "m1") -> None:
    async def work(tx):
        await cards.bind(tx, number, place, None)
        for card in await cards.of_task(tx, number):
            if card.place == place:
                await cards.posted(tx, card, message_id, 1)
                if delivered is not None:
                    await cards.delivered(tx, card, delivered)

    await services.database.write(work)


# ---- long enough


async def test_guard_02_a_digest_is_named_by_twenty_digits_in_either_case(services):
    number, digest = await put_staged(services.database)
    answer = await services.approvals.approve(number, digest[:20].upper(), LEE)
    assert answer.task.state is State.APPROVED
    (said,) = await services.database.read(lambda tx: tasks.approvals_of(tx, number))
    assert said.digest == digest, "what is recorded is the whole digest"


@pytest.mark.parametrize("digits", [1, 12, 16, 19])
async def test_guard_02_fewer_than_twenty_digits_are_refused_with_what_to_do(services, digits):
    number, digest = await put_staged(services.database)
    problem = (await services.approvals.approve(number, digest[:digits], LEE)).problem
    assert (problem.kind, problem.code) == (Kind.USAGE, "bad_digest")
    assert "too short" in problem.message
    assert "20 hex digits" in problem.mend
    assert await services.state(number) is State.STAGED


@pytest.mark.parametrize("typed", ["", "g" * 20, "a" * 65, "not a digest at all!"])
async def test_guard_02_what_is_no_digest_is_a_usage_error(services, typed):
    number, _ = await put_staged(services.database)
    problem = (await services.approvals.approve(number, typed, LEE)).problem
    assert (problem.kind, problem.code) == (Kind.USAGE, "bad_digest")


def test_guard_02_what_is_shown_is_enough_to_be_typed():
    assert len(short_digest("a" * 64)) == TYPED_DIGITS == 20


# ---- of one digest alone


@pytest.mark.parametrize("verdict", ["approve", "reject"])
async def test_guard_02_a_prefix_of_two_revisions_names_neither(services, verdict):
    """Lee reads revision 1, ana replies with a revision 2 that begins alike, lee types what the card showed."""
    number = await two_alike(services)
    act = services.approvals.approve if verdict == "approve" else None
    answer = (
        await act(number, SHARED, LEE)
        if act is not None
        else await services.approvals.reject(number, "no", LEE, digest=SHARED)
    )
    assert answer.problem is not None
    assert (answer.problem.kind, answer.problem.code) == (Kind.CONFLICT, "ambiguous_digest")
    assert await services.state(number) is State.STAGED
    assert await services.database.read(lambda tx: tasks.approvals_of(tx, number)) == ()


async def test_guard_02_digits_beyond_the_shared_ones_name_one_of_them(services):
    number = await two_alike(services)
    stale = await services.approvals.approve(number, FIRST[:21], LEE)
    assert stale.problem is not None
    assert (stale.problem.code, stale.problem.kind) == ("stale_digest", Kind.CONFLICT)
    assert "revision 1" in stale.problem.message
    assert (await services.approvals.approve(number, SECOND[:21], LEE)).problem is None


async def test_guard_02_a_digest_that_only_the_events_remember_counts_too(services):
    """A revision's row that was changed or lost does not make its digest forgotten."""
    number = await builders.put_task(services.database, State.STAGED, diff=named(SECOND))

    async def work(tx):
        body = {"state": "staged", "revision": 1, "digest": FIRST}
        await events.append(tx, number=number, kind="task.staged", body=body)

    await services.database.write(work)
    assert (await services.approvals.approve(number, SHARED, LEE)).problem.code == "ambiguous_digest"


async def test_guard_02_the_same_digest_staged_twice_is_one_digest(services):
    number, digest = await put_staged(services.database)
    await revise(services, number, digest)
    assert (await services.approvals.approve(number, digest[:20], LEE)).problem is None


# ---- shown where it is typed


async def test_guard_02_a_typed_digest_holds_where_it_was_shown(services):
    number, digest = await put_staged(services.database)
    await put_card(services, number, CHAT, digest)
    assert (await services.approvals.approve(number, digest[:20], LEE_THERE, CHAT)).problem is None


@pytest.mark.parametrize(
    ("where", "delivered"),
    [
        (CHAT, None),
        (CHAT, "f" * 64),
        (Place("telegram", "-200"), "own"),
        (Place("slack", "-100"), "own"),
        (Place("telegram", "-100", "7"), "own"),
    ],
    ids=["not yet", "an older revision", "another chat", "another surface", "another thread"],
)
async def test_guard_02_a_typed_digest_holds_nowhere_else(services, where, delivered):
    number, digest = await put_staged(services.database)
    await put_card(services, number, where, digest if delivered == "own" else delivered)
    problem = (await services.approvals.approve(number, digest, LEE_THERE, CHAT)).problem
    assert problem is not None
    assert (problem.kind, problem.code) == (Kind.CONFLICT, "not_shown")
    assert f"countersign show {number}" in problem.mend
    assert await services.state(number) is State.STAGED


async def test_guard_02_without_a_card_a_typed_digest_holds_nowhere(services):
    number, digest = await put_staged(services.database)
    assert (await services.approvals.approve(number, digest, LEE_THERE, CHAT)).problem.code == "not_shown"


async def test_guard_02_a_card_is_shown_in_the_thread_beneath_it_too(services):
    number, digest = await put_staged(services.database)
    await put_card(services, number, Place("slack", "C1"), digest, message_id="17.5")
    beneath = Place("slack", "C1", "17.5")
    assert (await services.approvals.approve(number, digest[:20], Actor("lee", "slack"), beneath)).problem is None
