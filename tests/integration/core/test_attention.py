"""The attention set lists exactly those who can act: it equals a search by the real rules over people and actions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, text

from core.model.approval import QuorumStatus
from core.model.attention import AttentionAction, review_minutes
from core.model.budget import NOTHING
from core.model.budget_question import ABOUT_BUDGET, BudgetQuestion
from core.model.errors import CountersignError
from core.model.job import JobKind
from core.model.lifecycle import State
from core.model.staged_diff import Finding, GuardReport, GuardVerdict, stage
from core.model.turn import NOWHERE, Actor, Question
from core.rules.attention import RECENT
from core.rules.low_risk import MAX_FILES, MAX_LINES, why_alone
from core.services.approvals import ApprovalProofs, Approvals
from core.services.attention import Attention
from core.services.budgets import Budgets
from core.services.requests import Requests
from core.store import queue_queries, tasks
from tests import builders, campaign
from tests.builders import ANA, LEE, MAX, put_staged, put_task, staged, terms
from tests.service_harness import ServiceHarness

pytestmark = [pytest.mark.law, pytest.mark.window]

PEOPLE = ("ana", "bo", "lee", "max")
PLACES = ("terminal", "slack", "web")
UNSUCCESSFUL = (State.REFUSED, State.REJECTED, State.FAILED, State.EXPIRED)


async def listed(services, number: int) -> dict[str, str]:
    attention = Attention(services.database, lambda: services.settings)
    return {person: action.value for person, action in (await attention.of_task(number, ANA)).items()}


class _UndoError(Exception):
    """Rolls back what was only tried."""


async def accepted(tx, attempt) -> bool:
    """Whether the real service accepts something; nothing of it stays."""
    outcome = None
    try:
        async with tx.session.begin_nested():
            outcome = await attempt()
            raise _UndoError
    except _UndoError:
        tx.session.expire_all()
        return getattr(outcome, "problem", None) is None
    except CountersignError:
        tx.session.expire_all()
        return False


async def searched(services: ServiceHarness, number: int) -> dict[str, str]:
    """Whose turn it is, by trying every action of every person with the services that carry them out."""

    async def look(tx):
        task = await tasks.load(tx, number)
        known = [name for name in PEOPLE if services.settings.people.get(name)]

        async def may(person: str, action: str) -> bool:
            actors = [Actor(person, place) for place in PLACES]
            if action != "approve":
                return await accepted(tx, lambda: inside(method_of[action], tx, number, actors[0]))
            digest = task.staged.digest if task.staged else ""
            approve = Approvals._approve
            return any(
                [
                    await accepted(
                        tx,
                        lambda actor=actor: inside(approve, tx, number, digest, actor, None, NOWHERE, ApprovalProofs()),
                    )
                    for actor in actors
                ]
            )

        def inside(method, tx, *arguments):
            """Call a method of a service in this transaction instead of one of its own."""
            service = services.approvals if method is Approvals._approve else services.requests
            return method.__wrapped__(service, tx, *arguments)

        method_of = {"merge": Requests.merge, "reply": Requests.check_speaking}
        found: dict[str, str] = {}
        if task.state is State.STAGED and not await queue_queries.reads_of(tx, number):
            found = {person: "approve" for person in known if await may(person, "approve")}
        if task.state is State.PUBLISHED:
            found = {person: "merge" for person in known if await may(person, "merge")}
        is_reading = bool(await queue_queries.reads_of(tx, number))
        stuck = task.state is State.STAGED and not found and not is_reading
        over = task.state in UNSUCCESSFUL and tx.now - task.updated_at < RECENT
        if (stuck or over) and task.requester in known and await may(task.requester, "reply"):
            found = {task.requester: "reply"}
        if task.state is State.ASKING and task.question is not None and task.question.budget is not None:
            extend: Any = vars(Budgets)["_extend"].__wrapped__  # in this transaction instead of one of its own
            budgets, given = services.budgets, (NOTHING, None)
            return {
                person: "extend"
                for person in known
                if await accepted(tx, lambda who=person: extend(budgets, tx, number, Actor(who, "web"), *given))
            }
        if task.state is State.ASKING and task.requester in known and await may(task.requester, "reply"):
            found = {task.requester: "answer"}
        return found

    return await services.database.write(look)


rules = st.builds(
    lambda count, self_approve, surfaces, approvers: terms(
        count, self_approve=self_approve, surfaces=surfaces, approvers=approvers
    ),
    st.integers(1, 2),
    st.booleans(),
    st.sampled_from([(), ("slack",), ("web", "terminal")]),
    st.sampled_from([("maintainer",), ("member", "maintainer"), ("lee",), ("ana", "max")]),
)
steps = st.one_of(
    st.tuples(st.just("approve"), st.sampled_from(PEOPLE), st.sampled_from(PLACES)),
    st.tuples(st.just("reject"), st.sampled_from(PEOPLE), st.sampled_from(PLACES)),
    st.tuples(st.just("reply"), st.sampled_from(PEOPLE), st.just("terminal")),
    st.tuples(st.just("cancel"), st.sampled_from(PEOPLE), st.just("terminal")),
    st.tuples(st.just("merge"), st.sampled_from(PEOPLE), st.just("terminal")),
    st.tuples(st.just("extend"), st.sampled_from(PEOPLE), st.just("web")),
    st.tuples(st.just("rule"), st.one_of(st.none(), rules), st.none()),
    st.tuples(st.just("remove"), st.sampled_from(PEOPLE), st.none()),
    st.tuples(st.just("expire"), st.none(), st.none()),
    st.tuples(st.just("age"), st.none(), st.none()),
    st.tuples(st.just("read"), st.none(), st.none()),
    st.tuples(st.just("forge"), st.none(), st.none()),
)
BUDGET: Final = Question(ABOUT_BUDGET, "More?", budget=BudgetQuestion("tokens", 2, 1, 1, 1))
starts = st.sampled_from(
    [State.STAGED] * 6 + [State.ASKING, BUDGET, State.PUBLISHED, *UNSUCCESSFUL, State.RUNNING],
)


async def begin(services: ServiceHarness, state: State | Question, rule, content: str) -> int:
    if isinstance(state, Question):  # its work was planned and begun before the budget was used up
        number = await put_task(services.database, State.RUNNING, promised=rule)
        asking = "UPDATE tasks SET state = 'asking', question = :staged WHERE number = :number"
        await change(services, asking, number, state.to_json())
        return number
    diff = staged(content)
    opened = builders.pull_request(digest=diff.digest) if state is State.PUBLISHED else None
    with_diff = diff if state in (State.STAGED, State.PUBLISHED) else None
    return await put_task(services.database, state, diff=with_diff, promised=rule, opened=opened)


async def happen(services: ServiceHarness, number: int, step) -> None:
    """One step of a sequence; what the services refuse does not happen."""
    kind, who, where = step
    task = await services.task(number)
    digest = task.staged.digest if task.staged else "0" * 64
    actor = Actor(who, where) if isinstance(who, str) else ANA
    columns = {"expire": "expires_ms = 1", "age": f"updated_ms = updated_ms - {8 * 86400 * 1000}"}
    try:
        if kind == "approve":
            await services.approvals.approve(number, digest, actor)
        elif kind == "reject":
            await services.approvals.reject(number, "no", actor)
        elif kind == "reply":
            await services.requests.reply(number, "instead set b to 2", actor)
        elif kind == "cancel":
            await services.requests.cancel(number, actor)
        elif kind == "merge":
            await services.requests.merge(number, actor)
        elif kind == "extend":
            await services.budgets.extend(number, actor)
        elif kind == "rule":
            services.policy.terms = who
        elif kind == "remove":
            people = {name: p for name, p in services.settings.people.by_name.items() if name != who}
            services.configure(people=type(services.settings.people)(people))
        elif kind == "read":
            await builders.put_job(services.database, number, kind=JobKind.READ.value)
        elif kind == "forge":
            other = staged("forged").to_json()
            await change(services, "UPDATE revisions SET staged = :staged WHERE number = :number", number, other)
        else:
            await change(services, f"UPDATE tasks SET {columns[kind]} WHERE number = :number", number)
    except CountersignError:
        pass


async def change(services: ServiceHarness, statement: str, number: int, value=None) -> None:
    import json

    async def work(tx):
        values = {"number": number} | ({"staged": json.dumps(value)} if value is not None else {})
        await tx.session.execute(text(statement), values)

    await services.database.write(work)


@pytest.mark.timeout(0 if campaign.WHOLE else 300)  # 10,000 sequences take hours
@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@given(start=starts, rule=rules, sequence=st.lists(steps, max_size=5), content=st.sampled_from(["first", "second"]))
@settings(
    max_examples=10_000 if campaign.WHOLE else 25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_after_any_sequence_of_events_the_set_is_what_a_search_over_all_people_finds(
    database, start, rule, sequence, content
):
    services = ServiceHarness(database)
    services.policy.terms = rule
    number = await begin(services, start, rule, content)
    assert await listed(services, number) == await searched(services, number)
    for step in sequence:
        await happen(services, number, step)
        assert await listed(services, number) == await searched(services, number), step


# ---- by example, on both databases


@campaign.EITHER
async def test_a_staged_task_waits_for_those_who_have_not_approved_and_not_for_its_author(services):
    services.policy.terms = terms(2)
    number, digest = await put_staged(services.database, promised=terms(2))
    assert await listed(services, number) == {"lee": "approve", "max": "approve"}
    await services.approvals.approve(number, digest, LEE)
    assert await listed(services, number) == {"max": "approve"}
    await services.approvals.approve(number, digest, MAX)
    assert await listed(services, number) == {}


@campaign.EITHER
async def test_the_inbox_has_what_waits_for_me_alone_first(services):
    services.policy.terms = terms(2)
    both, _ = await put_staged(services.database, promised=terms(2))
    mine, digest = await put_staged(services.database, "second", promised=terms(2))
    await services.approvals.approve(mine, digest, MAX)
    asked = await put_task(services.database, State.ASKING, requester="lee")
    inbox = await Attention(services.database, lambda: services.settings).inbox("lee")
    found = [(item.document.task.number, item.action, item.others) for item in inbox.items]
    assert [number for number, _, _ in found] == [mine, asked, both]
    assert found[0][1:] == (AttentionAction.APPROVE, ())
    assert found[2][1:] == (AttentionAction.APPROVE, ("max",))
    assert inbox.minutes >= 3


@campaign.EITHER
async def test_after_a_rejection_it_is_the_requesters_turn_for_a_week(services):
    number, _ = await put_staged(services.database)
    await services.approvals.reject(number, "too wide", LEE)
    assert await listed(services, number) == {"ana": "reply"}
    eight_days = round(timedelta(days=8).total_seconds() * 1000)
    await change(services, f"UPDATE tasks SET updated_ms = updated_ms - {eight_days} WHERE number = :number", number)
    assert await listed(services, number) == {}


def test_a_review_takes_longer_the_larger_and_the_riskier_the_change_is():
    small = staged("first")
    assert review_minutes(small) == 1


async def test_the_inbox_asks_for_all_tasks_at_once(services):
    services.policy.terms = terms(2)
    asked = []
    event.listen(services.database.engine.sync_engine, "before_cursor_execute", lambda *facts: asked.append(facts[2]))
    counts = []
    for n in range(30):
        await put_staged(services.database, f"c{n}", promised=terms(2))
        if n in (1, 29):
            asked.clear()
            inbox = await Attention(services.database, lambda: services.settings).inbox("lee")
            assert len(inbox.items) == n + 1
            counts.append(len(asked))
    assert counts[0] == counts[1]


def test_low_risk_is_small_without_warnings_and_one_approval_away():
    def needs(count, *have):
        return QuorumStatus("rule", count, ("lee", "max"), have)

    def diff(*files, verdict=GuardVerdict.PASS):
        return stage(builders.change(*files), GuardReport((Finding("paths", verdict, "inside"),)))

    assert why_alone(diff(), needs(1)) == ""
    assert why_alone(diff(), needs(2, "max")) == ""
    for alone, status in ((diff(), needs(2)), (diff(), needs(1, "max")), (diff(), None)):
        assert "exactly one more approval" in why_alone(alone, status)
    assert "warning" in why_alone(diff(verdict=GuardVerdict.WARN), needs(1))
    assert "Makefile" in why_alone(diff(builders.file_change("Makefile")), needs(1))
    assert "a.bin" in why_alone(diff(builders.file_change("a.bin", added=None, removed=None)), needs(1))
    assert "larger" in why_alone(diff(builders.file_change("a.txt", added=MAX_LINES + 1)), needs(1))
    many = [builders.file_change(f"docs/{n}.md") for n in range(MAX_FILES + 1)]
    assert "larger" in why_alone(diff(*many), needs(1))
