"""Recurring requests over a real store: each time once, whichever process asks and whatever dies."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import update
from sqlmodel import col

from bot.messaging.schedule_commands import ChatSchedules
from bot.schedule.clock import GRACE_MS, ScheduleClock, asker, dedup_of, step_of
from bot.schedule.next_time import next_words
from bot.schedule.recurrence import read_recurrence
from core.model.budget_question import ABOUT_BUDGET, BudgetQuestion
from core.model.errors import NotFoundError, RefusedError, TransientError, UsageError
from core.model.place import Place
from core.model.schedule import ACTIVE, PAUSED, Schedule
from core.model.turn import Actor, Question
from core.services.schedules import MOST, Schedules, WantedSchedule
from core.store import events, schedules, tasks
from core.store.message_tables import ScheduleRow
from tests import builders, campaign
from tests.builders import ANA, BO, LEE
from tests.service_harness import ServiceHarness

pytestmark = [pytest.mark.surfaces, campaign.EITHER]

DAY_MS = 86_400_000
NINE_MS = round(datetime(2026, 5, 4, 9, tzinfo=UTC).timestamp() * 1000)


@pytest.fixture
def services(database):
    return ServiceHarness(database)


@pytest.fixture
def known(services):
    services.configure(zone="Europe/Zurich")
    return Schedules(services.database, lambda: services.settings, read_recurrence)


def wanted(**others) -> WantedSchedule:
    given = {"when": "daily 09:00", "text": "set a to 1 in x.yaml", "actor": ANA}
    return WantedSchedule(**{**given, **others})


def every_repository(_place: Place) -> None:
    """A place that is for all repositories."""


def schedule(**others) -> Schedule:
    given = {
        "id": "sch_1",
        "person": "ana",
        "surface": "telegram",
        "place": None,
        "text": "set a to 1 in x.yaml",
        "repo": "web",
        "lane": None,
        "phrase": "daily 09:00",
        "zone": "UTC",
        "state": ACTIVE,
        "missed": "skip",
        "next_ms": NINE_MS,
        "last_ms": None,
        "created_ms": NINE_MS - DAY_MS,
    }
    return Schedule(**{**given, **others})


async def make_due(database, name, ago_ms=1000):
    """As if the time had come `ago_ms` ago."""

    async def work(tx):
        at_ms = tx.now_ms - ago_ms
        await tx.session.execute(update(ScheduleRow).where(col(ScheduleRow.id) == name).values(next_ms=at_ms))
        return at_ms

    return await database.write(work)


async def row(database, name):
    found = await database.read(lambda tx: schedules.get(tx, name))
    assert found is not None
    return found


async def numbers(database) -> list[int]:
    found = await database.read(lambda tx: tasks.summaries(tx, state=None, limit=100, before=None))
    return sorted(task.number for task in found)


async def test_is_kept_with_its_next_time_in_its_zone(known):
    made = await known.add(wanted(when="every day at 9am", place=Place("telegram", "-5", "7")))
    assert (made.phrase, made.zone, made.state, made.missed) == ("daily 09:00", "Europe/Zurich", ACTIVE, "skip")
    assert made.next_ms is not None
    assert made.next_ms == read_recurrence("daily 09:00").after(made.created_ms, "Europe/Zurich", 0)
    assert await known.list(Actor("ana", "telegram"), own=True) == (made,)
    assert await known.list(Actor("bo", "telegram"), own=True) == ()
    assert (await known.list())[0].place == Place("telegram", "-5", "7")


@pytest.mark.parametrize(
    "others",
    [
        {"when": "soon"},
        {"when": "every 1m"},
        {"zone": "Europe/Nowhere"},
        {"zone": "../etc/passwd"},
        {"zone": "Europe"},
        {"text": "  "},
        {"text": "x" * 20_000},
        {"text": "\ud800"},
        {"repo": "nowhere"},
        {"lane": "nowhere"},
        {"missed": "twice"},
    ],
)
async def test_what_cannot_be_asked_for_is_not_kept(known, others):
    with pytest.raises((UsageError, NotFoundError)):
        await known.add(wanted(**others))
    assert await known.list() == ()


async def test_one_person_has_a_hundred_at_most(known, database):
    async def fill(tx):
        for n in range(MOST):
            await schedules.add(tx, schedule(id=f"sch_{n}"))

    await database.write(fill)
    with pytest.raises(UsageError, match="100"):
        await known.add(wanted())
    await known.add(wanted(actor=BO))


async def test_only_its_author_and_maintainers_may_change_it(known):
    made = await known.add(wanted())
    for change in (known.pause, known.resume, known.remove):
        with pytest.raises(RefusedError):
            await change(made.id, BO)
    assert (await known.pause(made.id, LEE)).state == PAUSED
    assert (await known.pause(made.id, ANA)).next_ms is None
    resumed = await known.resume(made.id, ANA)
    assert resumed.next_ms == made.next_ms
    await known.remove(made.id.upper(), ANA)
    with pytest.raises(NotFoundError):
        await known.remove(made.id, ANA)
    kinds = await builders.kinds_of(known.database, 0)
    assert kinds == ["schedule.added", "schedule.paused", "schedule.resumed", "schedule.removed"]


async def test_a_due_one_becomes_a_task_of_its_author_once(services, known, database):
    made = await known.add(wanted(repo="web", place=Place("telegram", "-5")))
    at_ms = await make_due(database, made.id)
    clock = ScheduleClock(known, asker(services.requests, every_repository))
    assert await clock.sweep() == 1
    assert await clock.sweep() == 0
    assert await numbers(database) == [1]
    task = await services.task(1)
    assert (task.requester, task.repo, task.title) == ("ana", "web", "set a to 1 in x.yaml")
    after = await row(database, made.id)
    assert (after.last_ms, after.next_ms) == (at_ms, made.next_ms)


async def test_a_due_one_stays_within_the_repositories_that_its_channel_is_for_then(services, known, database):
    web = services.settings.repositories["web"]
    services.configure(repositories={name: replace(web, name=name, id=name) for name in ("api", "docs", "web")})
    channel = Place("telegram", "-5")
    for repo in (None, "docs"):
        await make_due(database, (await known.add(wanted(repo=repo, place=channel))).id)
    assert await ScheduleClock(known, asker(services.requests, lambda _place: ("api", "web"))).sweep() == 1
    task = await services.task(1)
    assert (task.repo, task.scope.names) == (None, ("api", "web")), "the question offers only these"
    (paused,) = [one for one in await known.list() if one.state == PAUSED]
    assert (paused.repo, paused.problem) == ("docs", "docs is not a repository of this channel")


async def test_one_from_a_channel_that_is_no_longer_configured_is_paused(services, known, database):
    await make_due(database, (await known.add(wanted(place=Place("telegram", "-5")))).id)
    assert await ScheduleClock(known, asker(services.requests, lambda _place: ())).sweep() == 0
    (paused,) = await known.list()
    assert (paused.state, paused.problem) == (PAUSED, "this channel is not for any repository")


async def test_two_hosts_make_one_task(services, known, database):
    for actor in (ANA, BO, LEE):
        await make_due(database, (await known.add(wanted(actor=actor))).id)
    hosts = [ScheduleClock(known, asker(services.requests, every_repository)) for _ in range(4)]
    await asyncio.gather(*(host.sweep() for host in hosts))
    assert len(await numbers(database)) == 3


async def test_a_crash_between_asking_and_moving_on_makes_no_second_task(services, known, database):
    made = await known.add(wanted())
    at_ms = await make_due(database, made.id)
    before = await row(database, made.id)
    await asker(services.requests, every_repository)(before, datetime.fromtimestamp(at_ms / 1000, UTC))
    assert (await row(database, made.id)).next_ms == at_ms
    await ScheduleClock(known, asker(services.requests, every_repository)).sweep()
    assert await numbers(database) == [1]
    assert (await row(database, made.id)).next_ms == made.next_ms


async def test_a_pause_that_comes_during_the_sweep_is_kept(known, database):
    made = await known.add(wanted())
    await make_due(database, made.id)

    async def ask(_schedule, _at):
        await known.pause(made.id, ANA)

    await ScheduleClock(known, ask).sweep()
    after = await row(database, made.id)
    assert (after.state, after.next_ms) == (PAUSED, None)


async def test_what_is_not_there_at_the_moment_is_asked_again(known, database):
    made = await known.add(wanted())
    at_ms = await make_due(database, made.id)
    asked = []

    async def ask(found, at):
        asked.append(dedup_of(found, at))
        if len(asked) == 1:
            raise TransientError("away", "The database is away")

    clock = ScheduleClock(known, ask)
    assert await clock.sweep() == 0
    assert await clock.sweep() == 1
    assert asked == [f"schedule:{made.id}:{at_ms}"] * 2


async def test_one_that_breaks_does_not_keep_the_others_waiting(known, database):
    for actor in (ANA, BO):
        await make_due(database, (await known.add(wanted(actor=actor))).id)
    asked = []

    async def ask(found, _at):
        asked.append(found.person)
        if found.person == "ana":
            raise ZeroDivisionError

    assert await ScheduleClock(known, ask).sweep() == 1
    assert sorted(asked) == ["ana", "bo"]


async def test_an_author_who_is_gone_asks_for_nothing(services, known, database):
    made = await known.add(wanted())
    await make_due(database, made.id)
    services.configure(people=builders.people(lee="maintainer"))
    clock = ScheduleClock(known, asker(services.requests, every_repository))
    assert await clock.sweep() == 0
    assert await clock.sweep() == 0
    assert await numbers(database) == []
    assert (await row(database, made.id)).state == PAUSED
    assert (await builders.kinds_of(database, 0))[-1] == "schedule.refused"
    (paused,) = await known.list()
    assert next_words(paused) == "paused: no person called ana is configured", "lanes.md 13"
    services.configure(people=builders.people())
    assert next_words(await known.resume(made.id, ANA)).startswith("next ")
    assert next_words((await known.list())[0]).startswith("next ")


@pytest.mark.parametrize(
    ("late_ms", "missed", "asked_ms"),
    [
        (0, "skip", NINE_MS),
        (400, "skip", NINE_MS),
        (GRACE_MS, "skip", NINE_MS),
        (GRACE_MS + 1, "skip", None),
        (GRACE_MS + 1, "once", NINE_MS),
        (3 * DAY_MS + 3_600_000, "skip", None),
        (3 * DAY_MS + 3_600_000, "once", NINE_MS),
        (3 * DAY_MS + 60_000, "skip", NINE_MS + 3 * DAY_MS),
        (3 * DAY_MS + 60_000, "once", NINE_MS + 3 * DAY_MS),
    ],
)
def test_missed_times_are_left_out_or_made_up_for_once(late_ms, missed, asked_ms):
    found = schedule(missed=missed)
    step = step_of(found, read_recurrence(found.phrase), NINE_MS + late_ms)
    assert step.at_ms == asked_ms
    assert step.next_ms is not None
    assert NINE_MS + late_ms < step.next_ms <= NINE_MS + late_ms + DAY_MS
    assert step.next_ms % DAY_MS == NINE_MS % DAY_MS
    following = replace(found, next_ms=step.next_ms)
    assert step_of(following, read_recurrence(found.phrase), step.next_ms).at_ms == step.next_ms


async def test_the_running_clock_wakes_by_itself_and_stops(known, database):
    made = await known.add(wanted())
    await make_due(database, made.id)
    asked = asyncio.Event()

    async def ask(_schedule, _at):
        asked.set()

    running = asyncio.create_task(ScheduleClock(known, ask, sweep_s=0.05).run())
    async with asyncio.timeout(10):
        await asked.wait()
        asked.clear()
        await make_due(database, made.id)
        await asked.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_in_chat_one_is_added_listed_paused_and_deleted(known):
    from bot.commands import Every, PauseSchedule, ResumeSchedule, Unschedule
    from bot.commands import ListSchedules as Listed
    from bot.messaging.command_actor import CommandActor
    from core.model.place import RepositoryScope

    chat = ChatSchedules(known)
    speaker = CommandActor("ana", Place("telegram", "-5", "7"), "77", "1", "d1", scope=RepositoryScope(("web",)))

    async def said_to(command):
        return (await chat.carry_out(speaker, command)).text

    assert "no recurring" in await said_to(Listed())
    said = await said_to(Every("daily 9:00", "bump x", zone="UTC"))
    (made,) = await known.list()
    assert made.id in said
    assert (made.repo, made.zone, made.place, made.surface) == ("web", "UTC", speaker.place, "telegram")
    assert "bump x" in await said_to(Listed())
    assert "paused" in await said_to(PauseSchedule(made.id))
    assert "next" in await said_to(ResumeSchedule(made.id))
    with pytest.raises(RefusedError):
        await chat.carry_out(speaker, Every("daily 9:00", "bump x", repo="other"))
    assert "deleted" in await said_to(Unschedule(made.id))
    assert await known.list() == ()


async def test_a_sweep_goes_on_when_the_store_does_not_take_one(known, database):
    """What was asked for and could not be moved on is asked for under the same name at the next sweep."""
    for actor in (ANA, BO):
        await make_due(database, (await known.add(wanted(actor=actor))).id)
    asked = []

    async def ask(found, at):
        asked.append(dedup_of(found, at))

    class FullDisk(Schedules):
        async def advance(self, schedule, next_ms, made_ms):
            if len(asked) == 1:
                raise TransientError("disk_full", "The disk is full")
            return await super().advance(schedule, next_ms, made_ms)

    clock = ScheduleClock(FullDisk(database, known.settings, read_recurrence), ask)
    assert await clock.sweep() == 1
    assert await clock.sweep() == 1
    assert len(asked) == 3
    assert len(set(asked)) == 2


async def test_a_run_that_waits_for_a_larger_budget_has_no_further_runs_behind_it(known, services):
    made = await known.add(wanted())
    clock = ScheduleClock(known, asker(services.requests, every_repository))
    at_ms = await make_due(services.database, made.id)
    assert await clock.sweep() == 1
    (number,) = await numbers(services.database)
    asked = Question(ABOUT_BUDGET, "More?", budget=BudgetQuestion("tokens", 2, 1, 1, 1))

    async def pauses(tx):
        task = await tasks.load(tx, number)
        await tasks.save(tx, task, {"state": "asking", "question": asked.to_json()})

    await services.database.write(pauses)
    await make_due(services.database, made.id)
    assert await clock.sweep() == 0
    after = await row(services.database, made.id)
    assert (after.last_ms, after.next_ms > at_ms) == (at_ms, True)
    assert [event.kind for event in await services.database.read(lambda tx: events.chain_of(tx, 0))][-1] == (
        "schedule.skipped"
    )
    await services.requests.cancel(number, ANA)
    await make_due(services.database, made.id)
    assert await clock.sweep() == 1
    assert len(await numbers(services.database)) == 2
