"""Approve, reject and reply from everywhere at once: one decision on each staged diff."""

from __future__ import annotations

import asyncio
import queue
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from core.model.errors import CountersignError, Problem
from core.model.event import broken_link
from core.model.lifecycle import State
from core.model.turn import Actor
from core.store import events, tasks
from core.store.database import Database, Location
from tests import builders, campaign, killer
from tests.clock import clock_ms
from tests.service_harness import ServiceHarness

ROUNDS, PROCESSES, EACH = 300 if campaign.WHOLE else 6, 4, 8
LONGEST_S = 1800
"""Races are waited for as long as their processes live, and no longer than this."""
VERBS = ("approve", "reject", "approve", "reply", "reject", "approve", "reject", "approve")
APPROVERS = [f"approver{n}" for n in range(6)]
PEOPLE = builders.people(ana="member", **dict.fromkeys(APPROVERS, "maintainer"))


@dataclass(frozen=True)
class Outcome:
    """What one contender was told in one round; `problem` is None for the winner."""

    verb: str
    person: str
    problem: Problem | None


def race(location: Location, first: int, digest: str, process: int, start: Any, results: Any) -> None:
    """One of the processes: its contenders meet those of the others at every task."""
    results.put(asyncio.run(_race(location, first, digest, process, start)))


async def _race(location: Location, first: int, digest: str, process: int, start: Any) -> list[list[Outcome]]:
    services = ServiceHarness(Database(location))
    services.configure(people=PEOPLE)
    await asyncio.gather(*(services.database.read(clock_ms) for _ in range(EACH)))  # connected already
    rounds = []
    for number in range(first, first + ROUNDS):
        await asyncio.to_thread(start.wait, 120)
        contenders = (_contend(services, number, digest, process * EACH + n) for n in range(EACH))
        rounds.append(await asyncio.gather(*contenders))
    await services.database.close()
    return rounds


async def _contend(services: ServiceHarness, number: int, digest: str, who: int) -> Outcome:
    verb = VERBS[(who + number) % len(VERBS)]
    person = "ana" if verb == "reply" else APPROVERS[who % len(APPROVERS)]
    actor = Actor(person, "terminal")
    try:
        if verb == "reply":
            await services.requests.reply(number, "also b = 2", actor)
            return Outcome(verb, person, None)
        click = (
            services.approvals.approve(number, digest, actor)
            if verb == "approve"
            else (services.approvals.reject(number, "no", actor))
        )
        return Outcome(verb, person, (await click).problem)
    except CountersignError as error:
        return Outcome(verb, person, error.problem)


def next_result(results: Any, racers: Sequence[Any]) -> Any:
    """The result of the next process to finish; a process that fails, or `LONGEST_S`, ends the wait."""
    until = time.monotonic() + LONGEST_S
    while True:
        with suppress(queue.Empty):
            return results.get(timeout=1)
        assert not any(racer.exitcode for racer in racers), [racer.exitcode for racer in racers]
        assert time.monotonic() < until, "the processes still race"


async def test_of_32_who_decide_at_once_one_does_every_time(database, location):
    numbers = [(await builders.put_staged(database))[0] for _ in range(ROUNDS)]
    digest = builders.staged().digest
    assert numbers == list(range(numbers[0], numbers[0] + ROUNDS))
    forked = killer.forking()
    start, results = forked.Barrier(PROCESSES), forked.Queue()
    arguments = [(location, numbers[0], digest, n, start, results) for n in range(PROCESSES)]
    racers = [forked.Process(target=race, args=each, daemon=True) for each in arguments]
    for racer in racers:
        racer.start()
    told = [await asyncio.to_thread(next_result, results, racers) for _ in racers]
    for racer in racers:
        racer.join(60)
        assert racer.exitcode == 0
    decided: Counter[str] = Counter()
    for position, number in enumerate(numbers):
        outcomes = [outcome for each in told for outcome in each[position]]
        assert len(outcomes) == PROCESSES * EACH
        decided[await check_round(database, number, digest, outcomes)] += 1
    assert sum(decided.values()) == ROUNDS
    assert len(decided) == 3 or not campaign.WHOLE, f"each way to decide wins now and then: {decided}"


async def check_round(database: Database, number: int, digest: str, outcomes: list[Outcome]) -> str:
    """Hold one round to its promise; returns what decided it."""
    chain = await database.read(lambda tx: events.chain_of(tx, number))
    assert broken_link(chain) is None
    facts = [event for event in chain if event.kind in ("task.approved", "task.rejected", "task.replied")]
    winner = facts[0]
    kinds = Counter(event.kind for event in facts)
    if winner.kind == "task.approved":
        assert kinds == {"task.approved": 1}
    else:  # a reply may follow a rejection and another reply, a verdict on the old digest may not
        assert kinds["task.approved"] == 0
        assert kinds["task.rejected"] == (winner.kind == "task.rejected")
    won = [outcome for outcome in outcomes if outcome.problem is None]
    verbs = {"task.approved": "approve", "task.rejected": "reject", "task.replied": "reply"}
    assert sorted((o.verb, o.person) for o in won) == sorted((verbs[e.kind], e.person) for e in facts)
    repliers = {event.person for event in facts if event.kind == "task.replied"}
    for outcome in outcomes:
        if outcome.problem is None:
            continue
        assert outcome.problem.code in ("wrong_state", "stale_digest"), outcome
        assert outcome.problem.kind.exit_code == 5
        assert any(str(person) in outcome.problem.message for person in {winner.person, *repliers}), outcome
    said = await database.read(lambda tx: tasks.approvals_of(tx, number))
    assert [a.person for a in said if a.digest == digest] == ([] if winner.kind == "task.replied" else [winner.person])
    task = await builders.load(database, number)
    assert task.state is {"task.approved": State.APPROVED, "task.rejected": State.REJECTED}.get(
        facts[-1].kind, State.RECEIVED
    )
    owed = [job.kind.value for job in await builders.active_jobs(database, number)]
    assert owed == {State.APPROVED: ["publish"], State.RECEIVED: ["plan"], State.REJECTED: []}[task.state]
    return str(winner.kind)


pytestmark = [pytest.mark.law, pytest.mark.timeout(LONGEST_S + 120)]
