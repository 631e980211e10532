"""Why a verdict is refused: the person, the policy in force, or what the database says of the task."""

from __future__ import annotations

from core.model.advice import CommandName, Suggestion, advise
from core.model.approval import Verdict, eligible, stricter
from core.model.decision import TOTP, ApprovalRequirements, is_enough
from core.model.errors import Kind, Problem, reply_pending
from core.model.role import Role
from core.model.staged_diff import short_digest
from core.model.task import Task
from core.model.turn import Actor
from core.rules.audit import forged_staging
from core.rules.authorization import role_problem
from core.rules.current_requirements import refusal_now, requirements_now
from core.rules.quorum import needs_of
from core.settings import Settings
from core.store import events, queue_queries
from core.store.unit_of_work import Tx


def lacks_authority(settings: Settings, task: Task, actor: Actor, verdict: Verdict, proof: str = "") -> Problem | None:
    """Why this person's verdict does not count under the policy in force; `proof` is the step-up it is given with."""
    promised, live = requirements_now(settings, task)
    person = actor.person or ""
    if verdict is Verdict.REJECT:
        if person in task.authors:
            return None
        promised, live = (
            promised or live,
            live or promised,
        )  # what is no longer allowed may still be rejected
    if promised is None or live is None:
        return Problem(
            Kind.REFUSED,
            "no_longer_allowed",
            f"policy no longer allows #{task.number}: {refusal_now(settings, task)}",
            advise("See why with ", Suggestion(CommandName.WHY, task.number), "."),
        )
    may = eligible(promised, live, settings.people_of(task.repo), task.authors)
    if verdict is Verdict.REJECT:
        may = eligible(promised, live, settings.people_of(task.repo), ())
    requirements = stricter(promised, live)
    surfaces = requirements.surfaces
    if person in may and surfaces and actor.surface not in surfaces:
        return Problem(
            Kind.REFUSED,
            "wrong_surface",
            f"rule {live.rule} requires the decision on {', '.join(surfaces)}, not on {actor.surface}",
        )
    if person in may:
        return _step_up(task, requirements, verdict, proof)
    is_author = verdict is Verdict.APPROVE and person in eligible(promised, live, settings.people_of(task.repo), ())
    participle = "approved" if verdict is Verdict.APPROVE else "rejected"
    mend = f"It may be {participle} by {', '.join(may)}." if may else f"No one may {verdict.value} it now."
    reason = (
        "is one of its authors and may not approve it"
        if is_author
        else f"may not {verdict.value} under rule {live.rule}"
    )
    return Problem(Kind.REFUSED, f"may_not_{verdict.value}", f"{person} {reason} (#{task.number})", mend)


def bounded_by_role(settings: Settings, task: Task, actor: Actor, verdict: Verdict) -> Problem | None:
    """Why this person's roles do not let them give a verdict, whatever the rules say; authors may reject their own."""
    person = settings.people_of(task.repo).named(actor.person or "")
    is_own = verdict is Verdict.REJECT and person.name in task.authors
    return role_problem(person, Role.REQUESTER if is_own else Role.APPROVER)


def _step_up(task: Task, requirements: ApprovalRequirements, verdict: Verdict, proof: str) -> Problem | None:
    """The problem that the rule counts only approvals with a stronger proof than this one has."""
    if verdict is not Verdict.APPROVE or is_enough(proof, requirements.step_up):
        return None
    if requirements.step_up == TOTP:
        message = f"rule {requirements.rule} counts only approvals with a code of your authenticator app, or a passkey"
        mend = f"Open the page of #{task.number} in a browser, and approve it there with one of them."
        return Problem(Kind.REFUSED, "needs_code", message, mend)
    message = f"rule {requirements.rule} counts only approvals that are signed with a passkey"
    mend = f"Open the page of #{task.number} in a browser, and approve it there with your passkey."
    return Problem(Kind.REFUSED, "needs_passkey", message, mend)


async def forged(tx: Tx, task: Task) -> Problem | None:
    """Why no one can approve the staged diff: its row does not agree with the events of its staging."""
    found = forged_staging(task, await events.chain_of(tx, task.number))
    if not found:
        return None
    mend = "The database was modified outside Countersign. Reply to the task to make its change again."
    return Problem(Kind.CONFLICT, "rows_changed", f"#{task.number} cannot be approved: {'; '.join(found)}", mend)


async def reply_is_pending(tx: Tx, task: Task) -> Problem | None:
    """The problem that a reply is being read, which may supersede the staged diff, or None."""
    return reply_pending(task.number).problem if await queue_queries.reads_of(tx, task.number) else None


async def counts_already(tx: Tx, settings: Settings, task: Task, actor: Actor) -> Problem | None:
    """The problem that the actor's earlier approval counts already, or None.

    Another approval has an effect after a rejection, after an approval that does not count now, and if the quorum is
    met although the task is staged: it returned to staged, or was staged with the same digest again.
    """
    needs = await needs_of(tx, settings, task)
    if needs is None or needs.met or actor.person not in needs.have:
        return None
    assert task.staged is not None
    return Problem(
        Kind.CONFLICT,
        "already_decided",
        f"{actor.person} approved {short_digest(task.staged.digest)} already",
        advise("It counts once; see who still has to approve with ", Suggestion(CommandName.SHOW, task.number), "."),
    )
