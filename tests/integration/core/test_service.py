"""What people do to tasks: one transaction each, and nothing at all when it cannot be."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from core.model.edits import CreateFile
from core.model.errors import ConflictError, CountersignError, NotFoundError, RefusedError, UsageError
from core.model.intent import Intent
from core.model.job import JobKind, JobState
from core.model.lifecycle import OWED_IN, TRANSITIONS, Fact, State
from core.model.task import Basis
from core.model.turn import Actor, Question
from core.services.request_checks import MAX_TEXT_BYTES
from core.services.requests import NewRequest
from core.store import events, jobs, tasks
from core.store.database import Database
from tests import builders, campaign
from tests.builders import ANA, BO, LEE, MAX, NOON, pull_request, put_staged, put_task, staged, terms
from tests.service_harness import ServiceHarness

pytestmark = campaign.EITHER


def request(text: str = "set a to 1", **others) -> NewRequest:
    return NewRequest(**{"text": text, "actor": ANA, **others})


async def turns_of(services, number):
    return await services.database.read(lambda tx: tasks.turns_of(tx, number))


async def count_of_tasks(services) -> int:
    return sum((await services.database.read(tasks.count_by_state)).values())


# ---- ask


async def test_a_request_becomes_a_task_with_its_turn_its_event_and_the_job_it_owes(services):
    deadline = NOON + timedelta(days=1)
    number = await services.requests.ask(request("  set a to 1\n", priority=3, deadline_at=deadline, repo="web"))
    task = await services.task(number)
    assert (task.state, task.repo, task.requester, task.surface) == (State.RECEIVED, "web", "ana", "terminal")
    assert (task.title, task.priority, task.deadline_at) == ("set a to 1", 3, deadline)
    assert [(turn.person, turn.text, turn.revision) for turn in await turns_of(services, number)] == [
        ("ana", "set a to 1", 1)
    ]
    assert await services.kinds(number) == ["task.requested"]
    (job,) = await builders.active_jobs(services.database, number)
    assert (job.kind, job.state, job.priority, job.deadline_at) == (JobKind.PLAN, JobState.READY, 3, deadline)


async def test_the_only_repository_needs_no_name(services):
    assert (await services.task(await services.requests.ask(request()))).repo == "web"
    web = services.settings.repositories["web"]
    services.configure(repositories={"web": web, "api": replace(web, name="api", id="repo-2")})
    assert (await services.task(await services.requests.ask(request()))).repo is None


async def test_the_same_message_delivered_again_is_the_same_task(services):
    first = await services.requests.ask(request(dedup="update-7"))
    assert await services.requests.ask(request(dedup="update-7")) == first
    assert await services.kinds(first) == ["task.requested"]
    assert await services.owed(first) == ["plan"]
    elsewhere = Actor("ana", "slack")
    assert await services.requests.ask(request(dedup="update-7", actor=elsewhere)) != first, "ids are a surface's own"
    assert await services.requests.ask(request(dedup="update-8")) != first


@campaign.ON_BOTH
async def test_of_one_message_delivered_to_many_hosts_at_once_one_task_comes(services, location):
    hosts = [ServiceHarness(Database(location)) for _ in range(6)]
    numbers = await asyncio.gather(*(host.requests.ask(request(dedup="update-7")) for host in hosts))
    assert len(set(numbers)) == 1
    assert await count_of_tasks(services) == 1
    for host in hosts:
        await host.database.close()


@pytest.mark.parametrize(
    ("asked", "fault", "code"),
    [
        ({"text": " \n"}, UsageError, "empty"),
        ({"text": "é" * (MAX_TEXT_BYTES // 2 + 1)}, UsageError, "too_long"),
        ({"text": "set \0 to 1"}, UsageError, "not_text"),
        ({"text": "set \ud800 to 1"}, UsageError, "not_text"),
        ({"repo": "nowhere"}, NotFoundError, "no_such_repository"),
        ({"lane": "nowhere"}, UsageError, "no_such_lane"),
        ({"after": 99}, NotFoundError, "no_such_task"),
        ({"actor": Actor("eve", "terminal")}, NotFoundError, "no_such_person"),
        ({"actor": Actor(None, "terminal")}, NotFoundError, "no_such_person"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_cannot_be_asked_leaves_nothing(services, asked, fault, code):
    with pytest.raises(fault) as caught:
        await services.requests.ask(request(**asked))
    assert caught.value.problem.code == code
    assert await count_of_tasks(services) == 0


async def test_everything_a_person_may_type_is_kept_as_typed(services):
    text = "set título to “🖋️\u202e” in ñ.yaml; DROP TABLE tasks;-- %s {x}"
    number = await services.requests.ask(request(text))
    assert [turn.text for turn in await turns_of(services, number)] == [text]
    assert await services.kinds(number) == ["task.requested"]


# ---- reply


REPLIED = sorted(state for (state, fact) in TRANSITIONS if fact is Fact.REPLIED)


@pytest.mark.parametrize("state", REPLIED)
async def test_a_reply_makes_the_next_revision_and_drops_what_was_under_way(services, state):
    opened = pull_request() if state is State.PUBLISHED else None
    owes = [OWED_IN[state]] if state in OWED_IN else []
    columns = {"error": {"kind": "failed", "code": "x", "message": "x"}, "expires_ms": 1 << 45}
    number = await put_task(services.database, state, diff=staged(), opened=opened, owes=owes, columns=columns)
    before = await builders.active_jobs(services.database, number)
    task = await services.requests.reply(number, "no: b = 2", ANA)
    assert (task.state, task.revision, task.current.author) == (State.RECEIVED, 2, "ana")
    assert (task.error, task.expires_at, task.question, task.staged) == (None, None, None, None)
    assert task.pull_request == opened
    (job,) = await builders.active_jobs(services.database, number)
    assert (job.kind, job.revision) == (JobKind.PLAN, 2)
    assert job.id not in {old.id for old in before}
    assert [(turn.n, turn.revision) for turn in await turns_of(services, number)] == [(1, 1), (2, 2)]
    assert await services.kinds(number) == ["task.requested", "task.replied"]
    earlier = await services.database.read(lambda tx: tasks.revision_of(tx, number, 1))
    assert earlier.staged == (staged() if state is not State.RECEIVED and state is not State.ASKING else None)


@pytest.mark.parametrize("state", sorted(set(State) - set(REPLIED)))
async def test_where_words_no_longer_help_a_reply_is_refused(services, state):
    number = await put_task(services.database, state, diff=staged())
    before = await services.task(number)
    with pytest.raises(ConflictError, match=f"#{number} is {state.value}"):
        await services.requests.reply(number, "b = 2", ANA)
    assert await services.task(number) == before
    assert len(await turns_of(services, number)) == 1


@campaign.ON_BOTH
async def test_a_reply_delivered_again_makes_no_other_revision(services, location):
    number, _ = await put_staged(services.database)
    hosts = [ServiceHarness(Database(location)) for _ in range(4)]
    said = await asyncio.gather(*(host.requests.reply(number, "b = 2", ANA, dedup="m-1") for host in hosts))
    assert {task.revision for task in said} == {2}
    assert (await services.requests.reply(number, "b = 2", ANA, dedup="m-1")).revision == 2
    assert await services.kinds(number) == ["task.requested", "task.replied"]
    for host in hosts:
        await host.database.close()


async def test_only_who_may_write_in_the_lane_may_reply(services):
    number, _ = await put_staged(services.database)
    services.policy.refuses = {"bo", "ana"}
    with pytest.raises(RefusedError, match="bo"):
        await services.requests.reply(number, "b = 2", BO)
    assert await services.state(number) is State.STAGED
    assert (await services.requests.reply(number, "b = 2", ANA)).revision == 2, (
        "the requester is judged when it is planned"
    )


@pytest.mark.parametrize(
    ("state", "text", "continues", "turns", "authors"),
    [
        (State.STAGED, "also b = 2", 1, (2,), ("ana",)),
        (State.STAGED, "instead b = 2", None, (2,), ()),
        (State.STAGED, "Start over: b = 2", None, (2,), ()),
        (State.STAGED, " Try again. ", None, (1,), ("ana",)),
        (State.RUNNING, "also b = 2", None, (1, 2), ("ana",)),
        (State.QUEUED, "also b = 2", None, (1, 2), ("ana",)),
        (State.FAILED, "b = 2", None, (2,), ()),
        (State.FAILED, "retry", None, (1,), ("ana",)),
        (State.PUBLISHED, "also b = 2", 1, (2,), ("ana",)),
    ],
)
async def test_what_the_next_revision_builds_on(services, state, text, continues, turns, authors):
    opened = pull_request() if state is State.PUBLISHED else None
    number = await put_task(services.database, state, diff=staged(), opened=opened)
    task = await services.requests.reply(number, text, BO)
    since = 2 if text.startswith("Start over") else 1
    assert task.current.basis == Basis(turns, continues, authors, since=since)
    again = 2 not in turns  # whoever has the same work done again wrote nothing of it
    assert task.authors == ({"ana"} if again else {"ana", "bo"})


async def test_everybody_whose_words_are_in_a_revision_is_its_author(services):
    """A chain of replies: max's part stays max's until someone starts over."""
    number = await put_task(services.database, State.STAGED, diff=staged())
    await services.requests.reply(number, "b = 2", MAX)
    await services.requests.reply(number, "c = 3", ANA)
    assert (await services.task(number)).authors == {"ana", "max"}
    await services.requests.reply(number, "instead: d = 4", ANA)
    assert (await services.task(number)).authors == {"ana"}


@pytest.mark.parametrize(
    ("about", "answer", "column"), [("repository", "web", "repo"), ("lane", "Config", "asked_lane")]
)
async def test_an_answer_to_a_question_is_no_new_request(services, about, answer, column):
    question = Question(about, "Which?", ("web", "api") if about == "repository" else ("config", "docs"))
    number = await put_task(
        services.database, State.ASKING, columns={"question": question.to_json(), "repo": None, "asked_lane": None}
    )
    task = await services.requests.reply(number, f" {answer} ", ANA)
    assert getattr(task, column) == answer.lower()
    assert task.current.basis.turns == (1,)
    assert task.current.intent == Intent("set a to 1")


# ---- cancel


CANCELLED = sorted(state for (state, fact) in TRANSITIONS if fact is Fact.CANCELLED)


@pytest.mark.parametrize("state", CANCELLED)
async def test_a_cancelled_task_stops_and_its_jobs_with_it(services, state):
    owes = [OWED_IN[state]] if state in OWED_IN else []
    number = await put_task(services.database, state, diff=staged(), owes=owes)
    task = await services.requests.cancel(number, ANA)
    assert task.state is State.CANCELLED
    assert await services.owed(number) == []
    assert (await services.kinds(number))[-1] == "task.cancelled"


@pytest.mark.parametrize("state", sorted(set(State) - set(CANCELLED)))
async def test_what_is_over_or_at_the_forge_cannot_be_cancelled(services, state):
    number = await put_task(services.database, state, diff=staged())
    with pytest.raises(ConflictError, match=f"#{number} is {state.value}"):
        await services.requests.cancel(number, ANA)
    assert await services.kinds(number) == ["task.requested"]


async def test_cancelling_a_revision_leaves_the_published_one_standing(services):
    number = await put_task(services.database, State.QUEUED, opened=pull_request(), owes=[JobKind.CHANGE])
    assert (await services.requests.cancel(number, ANA)).state is State.PUBLISHED
    assert await services.owed(number) == []


async def test_who_may_stop_a_task(services):
    for actor in (ANA, LEE, Actor(None, "terminal")):
        number, _ = await put_staged(services.database)
        assert (await services.requests.cancel(number, actor)).state is State.CANCELLED
    number, _ = await put_staged(services.database)
    with pytest.raises(RefusedError, match="bo"):
        await services.requests.cancel(number, BO)
    assert await services.state(number) is State.STAGED


@pytest.mark.parametrize("dead", [False, True], ids=["held", "held once, by a worker that died"])
async def test_what_may_have_reached_the_forge_cannot_be_cancelled(services, dead):
    number = await put_task(services.database, State.APPROVED, diff=staged(), owes=[JobKind.PUBLISH])

    assert await builders.claim(services.database, "w1")
    if dead:
        await services.database.write(lambda tx: jobs.rescue_from(tx, ["w1"], count=True))
    with pytest.raises(ConflictError) as caught:
        await services.requests.cancel(number, ANA)
    assert caught.value.problem.code == "being_published"
    assert await services.state(number) is State.APPROVED
    assert await services.owed(number) == ["publish"]


# ---- merge and undo


async def test_merging_is_owed_once(services):
    number = await put_task(services.database, State.PUBLISHED, diff=staged(), opened=pull_request())
    assert (await services.requests.merge(number, LEE)).state is State.PUBLISHED
    assert await services.owed(number) == ["merge"]
    for again in (services.requests.merge(number, LEE), services.requests.undo(number, LEE)):
        with pytest.raises(ConflictError) as caught:
            await again
        assert caught.value.problem.code == "already_on_its_way"
    assert await services.owed(number) == ["merge"]
    assert await services.kinds(number) == ["task.requested", "task.merge_asked"]


async def test_who_may_merge_is_for_the_rule_in_force_to_say(services):
    number = await put_task(services.database, State.PUBLISHED, diff=staged(), opened=pull_request())
    with pytest.raises(RefusedError, match="bo"):
        await services.requests.merge(number, BO)
    services.policy.terms = terms(merge_from=("bo",))
    with pytest.raises(RefusedError, match="lee"):
        await services.requests.merge(number, LEE)
    services.policy.terms = None
    with pytest.raises(RefusedError, match="no one"):
        await services.requests.merge(number, BO)
    services.policy.terms = terms(merge_from=("bo",))
    await services.requests.merge(number, BO)
    assert await services.owed(number) == ["merge"]


@campaign.ON_BOTH
async def test_merging_by_many_at_once_is_owed_once(services, location):
    number = await put_task(services.database, State.PUBLISHED, diff=staged(), opened=pull_request())
    hosts = [ServiceHarness(Database(location)) for _ in range(6)]
    said = await asyncio.gather(*(host.requests.merge(number, LEE) for host in hosts), return_exceptions=True)
    assert sum(isinstance(outcome, ConflictError) for outcome in said) == 5
    assert await services.owed(number) == ["merge"]
    for host in hosts:
        await host.database.close()


@pytest.mark.parametrize("state", sorted(set(State) - {State.PUBLISHED}))
async def test_only_what_is_published_can_be_merged(services, state):
    number = await put_task(services.database, state, diff=staged())
    with pytest.raises(ConflictError, match=f"#{number} is {state.value}"):
        await services.requests.merge(number, LEE)
    assert await services.owed(number) == []


async def test_undoing_what_is_published_closes_it(services):
    number = await put_task(services.database, State.PUBLISHED, diff=staged(), opened=pull_request())
    with pytest.raises(RefusedError):
        await services.requests.undo(number, BO)
    assert await services.requests.undo(number, ANA) == number
    assert await services.owed(number) == ["close"]


async def test_undoing_what_is_merged_asks_for_its_revert_through_the_same_gate(services):
    opened = pull_request(state="merged")
    number = await put_task(services.database, State.MERGED, diff=staged(), opened=opened)
    undo = await services.requests.undo(number, BO)
    task = await services.task(undo)
    assert (task.state, task.requester, task.asked_lane) == (State.RECEIVED, "bo", "config")
    assert task.current.intent.revert_of == opened.head
    assert await services.owed(undo) == ["plan"]
    assert await services.state(number) is State.MERGED
    assert (await services.kinds(number))[-1] == "task.undo_asked"
    assert await services.kinds(undo) == ["task.requested"]


@pytest.mark.parametrize("state", sorted(set(State) - {State.PUBLISHED, State.MERGED}))
async def test_what_never_reached_the_branch_has_nothing_to_undo(services, state):
    number = await put_task(services.database, state, diff=staged())
    with pytest.raises(ConflictError, match=f"#{number} is {state.value}"):
        await services.requests.undo(number, ANA)
    assert await count_of_tasks(services) == 1


@pytest.mark.parametrize("verb", ["reply", "cancel", "merge", "undo"])
async def test_a_task_that_is_not_there_is_missing(services, verb):
    arguments = (99, "b = 2", ANA) if verb == "reply" else (99, ANA)
    with pytest.raises(NotFoundError, match="#99"):
        await getattr(services.requests, verb)(*arguments)


@campaign.ON_BOTH
async def test_reply_and_cancel_at_once_leave_one_story(services, location):
    """The second is judged by what the first one left."""
    other = ServiceHarness(Database(location))
    for _ in range(10):
        number, digest = await put_staged(services.database)
        said = await asyncio.gather(
            services.requests.reply(number, "b = 2", ANA),
            other.requests.cancel(number, ANA),
            other.approvals.approve(number, digest, LEE),
            return_exceptions=True,
        )
        assert all(isinstance(o, CountersignError) for o in said if isinstance(o, BaseException))
        task = await services.task(number)
        assert await services.owed(number) == ([OWED_IN[task.state].value] if task.state in OWED_IN else [])
        chain = await services.database.read(lambda tx, n=number: events.chain_of(tx, n))
        assert chain[-1].seq == len(chain)
    await other.database.close()


def test_an_intent_survives_the_store():
    intent = Intent("a = 1", (CreateFile("a", "1"),), revert_of=None)
    assert Intent.from_json(intent.to_json()) == intent
