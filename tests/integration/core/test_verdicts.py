"""Verdicts: judged at the click, by the rules in force, on exactly these bytes."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from core.model.approval import Verdict
from core.model.errors import Kind, NotFoundError
from core.model.lifecycle import State
from core.model.task import Basis
from core.model.turn import Actor
from core.rules.quorum import needs_of
from core.store import tasks
from tests import builders, campaign
from tests.builders import ANA, BO, LEE, MAX, people, put_staged, put_task, staged, terms

pytestmark = [pytest.mark.law, campaign.EITHER]


async def refused(services, number, answer, *, code: str, kind: Kind = Kind.REFUSED, click: str = "approval"):
    """The problem of a click that was refused: it left an event and changed nothing else."""
    assert answer.problem is not None
    assert (answer.problem.code, answer.problem.kind) == (code, kind), answer.problem
    chain = await services.kinds(number)
    assert chain[-1] == f"{click}.refused"
    return answer.problem


@pytest.fixture
def snapshot(services):
    """Everything of a task but its events, to compare before and after."""

    async def look(number: int):
        task = await services.task(number)
        said = await services.database.read(lambda tx: tasks.approvals_of(tx, number))
        return task, said, await services.owed(number)

    return look


# ---- the straight way


async def test_an_approval_by_somebody_else_owes_the_publishing(services):
    number, digest = await put_staged(services.database)
    answer = await services.approvals.approve(number, digest, LEE)
    assert answer.problem is None
    assert answer.task.state is State.APPROVED
    assert answer.task.expires_at is None
    assert await services.owed(number) == ["publish"]
    assert await services.kinds(number) == ["task.requested", "task.approved"]


async def test_with_a_quorum_of_two_the_first_approval_is_counted_and_the_second_decides(services):
    services.policy.terms = terms(2)
    number, digest = await put_staged(services.database, promised=terms(2))
    first = await services.approvals.approve(number, digest, LEE)
    assert first.problem is None
    assert first.task.state is State.STAGED
    assert await services.owed(number) == []
    second = await services.approvals.approve(number, digest, MAX)
    assert second.task.state is State.APPROVED
    assert await services.kinds(number) == ["task.requested", "task.counted", "task.approved"]


async def test_one_no_ends_the_revision_and_says_who_and_why(services):
    number, _ = await put_staged(services.database)
    answer = await services.approvals.reject(number, "too risky", LEE)
    assert answer.task.state is State.REJECTED
    assert answer.task.error.message == "lee rejected revision 1: too risky"
    assert answer.task.expires_at is None


async def test_a_no_after_the_first_of_two_approvals_ends_it(services):
    services.policy.terms = terms(2)
    number, digest = await put_staged(services.database, promised=terms(2))
    await services.approvals.approve(number, digest, LEE)
    answer = await services.approvals.reject(number, "on second thought", LEE)
    assert answer.problem is None
    assert answer.task.state is State.REJECTED
    late = await services.approvals.approve(number, digest, MAX)
    problem = await refused(services, number, late, code="wrong_state", kind=Kind.CONFLICT)
    assert "lee: reject" in problem.message


async def test_the_author_may_take_the_change_back_by_rejecting_it(services):
    number, _ = await put_staged(services.database)
    assert (await services.approvals.reject(number, "", ANA)).task.state is State.REJECTED


async def test_a_no_leaves_an_earlier_revision_published(services):
    opened = builders.pull_request()
    number = await put_task(services.database, State.STAGED, diff=staged(), opened=opened)
    answer = await services.approvals.reject(number, "", LEE)
    assert answer.task.state is State.PUBLISHED
    assert answer.task.pull_request == opened


# ---- who may not


async def test_the_requester_may_not_approve(services, snapshot):
    services.configure(people=people(ana="maintainer", lee="maintainer"))
    number, digest = await put_staged(services.database)
    before = await snapshot(number)
    answer = await services.approvals.approve(number, digest, ANA)
    problem = await refused(services, number, answer, code="may_not_approve")
    assert "lee" in problem.mend
    assert await snapshot(number) == before


async def test_the_author_of_the_revision_may_not_approve(services):
    """Neither for oneself nor on someone's behalf (31): max rewrote what ana asked for."""
    number, digest = await put_staged(services.database)
    await set_author(services, number, "max", Basis((1,)))
    answer = await services.approvals.approve(number, digest, MAX)
    await refused(services, number, answer, code="may_not_approve")
    assert (await services.approvals.approve(number, digest, LEE)).problem is None


async def test_whoever_wrote_what_a_revision_builds_on_may_not_approve_it(services):
    """A requester's small reply after it does not turn max's work into someone else's."""
    number, digest = await put_staged(services.database)
    await set_author(services, number, "ana", Basis((1, 2, 3), authors=("max",)))
    answer = await services.approvals.approve(number, digest, MAX)
    await refused(services, number, answer, code="may_not_approve")


async def set_author(services, number, author, basis) -> None:
    changes = {"author": author, "basis": basis.to_json()}
    await services.database.write(lambda tx: tasks.save_revision(tx, number, 1, changes))


async def test_a_member_may_neither_approve_nor_reject(services, snapshot):
    number, digest = await put_staged(services.database)
    before = await snapshot(number)
    await refused(services, number, await services.approvals.approve(number, digest, BO), code="may_not_approve")
    answer = await services.approvals.reject(number, "", BO)
    await refused(services, number, answer, code="may_not_reject", click="rejection")
    assert await snapshot(number) == before


async def test_a_stranger_is_told_that_nobody_knows_them(services):
    number, digest = await put_staged(services.database)
    with pytest.raises(NotFoundError, match="eve"):
        await services.approvals.approve(number, digest, Actor("eve", "terminal"))
    with pytest.raises(NotFoundError):
        await services.approvals.approve(number, digest, Actor(None, "terminal"))
    assert await services.kinds(number) == ["task.requested"]


async def test_self_approval_needs_both_the_promise_and_the_rule_in_force(services):
    services.configure(people=people(ana="maintainer"))
    for promised, live in ((True, False), (False, True), (True, True)):
        services.policy.terms = terms(self_approve=live)
        number, digest = await put_staged(services.database, promised=terms(self_approve=promised))
        answer = await services.approvals.approve(number, digest, ANA)
        assert (answer.problem is None) is (promised and live)


async def test_a_person_counts_once_on_whatever_surfaces(services, snapshot):
    services.policy.terms = terms(2)
    number, digest = await put_staged(services.database, promised=terms(2))
    await services.approvals.approve(number, digest, LEE)
    before = await snapshot(number)
    for surface in ("terminal", "slack"):
        answer = await services.approvals.approve(number, digest, Actor("lee", surface))
        await refused(services, number, answer, code="already_decided", kind=Kind.CONFLICT)
    assert await snapshot(number) == before


async def test_a_verdict_on_a_surface_the_rule_does_not_hear_is_refused_and_may_be_said_again_elsewhere(services):
    services.policy.terms = terms(surfaces=("slack",))
    number, digest = await put_staged(services.database)
    answer = await services.approvals.approve(number, digest, LEE)
    problem = await refused(services, number, answer, code="wrong_surface")
    assert "slack" in problem.message
    assert (await services.approvals.approve(number, digest, Actor("lee", "slack"))).task.state is State.APPROVED


# ---- the rules changed between the card and the click


async def test_authority_lost_between_card_and_click_is_lost(services, snapshot):
    number, digest = await put_staged(services.database)
    before = await snapshot(number)
    services.configure(people=people(ana="member", lee="member", max="maintainer"))
    answer = await services.approvals.approve(number, digest, LEE)
    problem = await refused(services, number, answer, code="may_not_approve")
    assert problem.mend == "It may be approved by max."
    assert await snapshot(number) == before


async def test_authority_gained_after_the_request_is_not_enough(services):
    """Eligible by the rule at the request and by the rule now (138)."""
    services.policy.terms = terms(approvers=("member", "maintainer"))
    number, digest = await put_staged(services.database)
    await refused(services, number, await services.approvals.approve(number, digest, BO), code="may_not_approve")


@pytest.mark.parametrize(("promised", "live"), [(1, 2), (2, 1)])
async def test_of_the_old_and_the_new_quorum_the_higher_counts(services, promised, live):
    services.policy.terms = terms(live)
    number, digest = await put_staged(services.database, promised=terms(promised))
    assert (await services.approvals.approve(number, digest, LEE)).task.state is State.STAGED
    assert (await services.approvals.approve(number, digest, MAX)).task.state is State.APPROVED


async def test_an_approver_who_lost_their_rights_no_longer_counts_for_the_second(services):
    services.policy.terms = terms(2)
    services.configure(people=people(ana="member", lee="maintainer", max="maintainer", kim="maintainer"))
    number, digest = await put_staged(services.database, promised=terms(2))
    await services.approvals.approve(number, digest, LEE)
    services.configure(people=people(ana="member", lee="member", max="maintainer", kim="maintainer"))
    assert (await services.approvals.approve(number, digest, MAX)).task.state is State.STAGED
    answer = await services.approvals.approve(number, digest, Actor("kim", "terminal"))
    assert answer.task.state is State.APPROVED


async def test_what_policy_denies_now_cannot_be_approved(services, snapshot):
    number, digest = await put_staged(services.database)
    before = await snapshot(number)
    services.policy.terms = None
    answer = await services.approvals.approve(number, digest, LEE)
    await refused(services, number, answer, code="no_longer_allowed")
    assert await snapshot(number) == before
    assert await services.database.read(lambda s: needs_of(s, services.settings, before[0])) is None


async def test_an_approval_that_was_void_counts_again_with_one_more_click(services):
    """Approved, then void because lee lost the role, then lee has it back: it must not be stuck in staged."""
    number, digest = await put_staged(services.database)
    await services.approvals.approve(number, digest, LEE)
    await fall_back_to_staged(services, number)
    answer = await services.approvals.approve(number, digest, LEE)
    assert answer.problem is None
    assert answer.task.state is State.APPROVED


async def test_somebody_who_rejected_may_approve_the_same_bytes_of_the_next_revision(services):
    number, digest = await put_staged(services.database)
    await services.approvals.reject(number, "by mistake", LEE)
    await fall_back_to_staged(services, number)
    answer = await services.approvals.approve(number, digest, LEE)
    assert answer.problem is None
    (said,) = await services.database.read(lambda tx: tasks.approvals_of(tx, number))
    assert said.verdict is Verdict.APPROVE


async def fall_back_to_staged(services, number) -> None:
    """As publishing does with an approval that no longer holds, and a next revision that stages the same bytes."""
    for statement in (
        f"UPDATE tasks SET state = 'staged' WHERE number = {number}",
        f"UPDATE jobs SET state = 'done' WHERE number = {number}",
    ):
        await services.database.write(lambda tx, statement=statement: tx.session.execute(text(statement)))


# ---- what is not there to be decided


@pytest.mark.parametrize("state", sorted(set(State) - {State.STAGED}))
async def test_nothing_is_decided_in_another_state(services, snapshot, state):
    """After a cancel, a reject, an expiry, a merge: refused, and nothing changed (35)."""
    number = await put_task(services.database, state, diff=staged())
    before = await snapshot(number)
    answer = await services.approvals.approve(number, staged().digest, LEE)
    code = "wrong_state" if before[0].staged else "stale_digest"
    problem = await refused(services, number, answer, code=code, kind=Kind.CONFLICT)
    assert f"#{number}" in problem.message
    answer = await services.approvals.reject(number, "", LEE)
    problem = await refused(services, number, answer, code="wrong_state", kind=Kind.CONFLICT, click="rejection")
    assert f"#{number} is {state.value}" in problem.message
    assert await snapshot(number) == before


async def test_a_wait_that_is_over_is_over_before_anybody_swept(services, snapshot):
    number, digest = await put_staged(services.database, columns={"expires_ms": 1})
    before = await snapshot(number)
    answer = await services.approvals.approve(number, digest, LEE)
    await refused(services, number, answer, code="expired", kind=Kind.CONFLICT)
    answer = await services.approvals.reject(number, "", LEE)
    await refused(services, number, answer, code="expired", kind=Kind.CONFLICT, click="rejection")
    assert await snapshot(number) == before


async def test_the_digest_of_an_older_revision_is_stale(services, snapshot):
    number, old = await put_staged(services.database, "old")
    await services.requests.reply(number, "path = content", ANA)
    newer = {"staged": staged("new").to_json(), "terms": terms().to_json(), "lane": "config"}
    await services.database.write(lambda tx: tasks.save_revision(tx, number, 2, newer))
    await fall_back_to_staged(services, number)
    before = await snapshot(number)
    answer = await services.approvals.approve(number, old, LEE)
    problem = await refused(services, number, answer, code="stale_digest", kind=Kind.CONFLICT)
    assert f"{old[:20]} is revision 1 of #{number}, superseded by ana's revision 2" in problem.message
    assert staged("new").digest[:20] in problem.message
    assert await snapshot(number) == before
    assert (await services.approvals.approve(number, staged("new").digest, LEE)).problem is None


@pytest.mark.parametrize("digest", ["", "abc", "f" * 11, "xyz" * 8, "../../../etc/passwd", "é" * 12])
async def test_what_is_no_digest_is_a_usage_error(services, snapshot, digest):
    number, _ = await put_staged(services.database)
    before = await snapshot(number)
    answer = await services.approvals.approve(number, digest, LEE)
    await refused(services, number, answer, code="bad_digest", kind=Kind.USAGE)
    assert await snapshot(number) == before


async def test_the_digest_of_another_task_decides_nothing_here(services, snapshot):
    number, _ = await put_staged(services.database, "one")
    _, other = await put_staged(services.database, "two")
    before = await snapshot(number)
    for digest in (other, "0" * 64):
        answer = await services.approvals.approve(number, digest, LEE)
        await refused(services, number, answer, code="stale_digest", kind=Kind.CONFLICT)
    assert await snapshot(number) == before


async def test_a_task_that_is_not_there_is_missing(services):
    with pytest.raises(NotFoundError):
        await services.approvals.approve(99, "f" * 64, LEE)


@campaign.ON_BOTH
async def test_the_same_button_pressed_fifty_times_decides_once(services):
    """Each later press is told who decided (32)."""
    import asyncio

    number, digest = await put_staged(services.database)
    answers = await asyncio.gather(*(services.approvals.approve(number, digest, LEE) for _ in range(50)))
    refusals = [answer.problem for answer in answers if answer.problem is not None]
    assert len(refusals) == 49
    assert {problem.code for problem in refusals} == {"wrong_state"}
    assert all("lee: approve" in problem.message for problem in refusals)
    assert await services.owed(number) == ["publish"]
    assert (await services.kinds(number)).count("task.approved") == 1
