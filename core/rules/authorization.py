"""Authorization: who may reply to a task, stop, extend and merge it, pause the queue, and change recurring requests.

`core.services.approvals` decides who may approve a digest.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.model.decision import Effect, PolicyRequest
from core.model.errors import ConflictError, Kind, Problem, RefusedError
from core.model.lifecycle import Fact, State, advance
from core.model.person import Person
from core.model.role import Role
from core.model.task import Revision, Task
from core.model.turn import Actor
from core.rules.budgets import people_who_may_extend
from core.rules.current_requirements import request_of, requirements_now
from core.rules.visibility import check_whole_home
from core.settings import Settings, SettingsSource
from core.store import queue_queries, tasks
from core.store.unit_of_work import Tx


@dataclass(frozen=True, slots=True)
class Authorization:
    """Checks of what a person may do under the settings in force; a check raises `RefusedError` or `ConflictError`."""

    settings: SettingsSource

    def check_role(self, actor: Actor, needed: Role, repository: str | None) -> None:
        """Raise `RefusedError` unless the actor's roles for `repository` let them do what needs the role `needed`.

        The operator of the home and the system, who are no configured person, are not bound by roles.
        """
        if actor.is_operator or actor.person is None:
            return
        person = self.settings().people_of(repository).named(actor.person)
        if (problem := role_problem(person, needed)) is not None:
            raise RefusedError(problem.code, problem.message, problem.mend)

    def check_home_role(self, actor: Actor, needed: Role) -> None:
        """Raise `RefusedError` unless the actor's roles for the whole home let them do what needs the role `needed`."""
        self.check_role(actor, needed, None)
        check_whole_home(self.settings(), actor)

    async def check_speaking(self, tx: Tx, task: Task, actor: Actor, *, picks: bool) -> None:
        """Raise if `actor` may not begin the next revision; a wrong state is reported before a missing permission."""
        self.check_role(actor, Role.REQUESTER, task.repo)
        try:
            advance(task, Fact.REPLIED)
        except ConflictError as error:
            problem = error.problem
            message = problem.message + await decided_by(tx, task)
            raise ConflictError(problem.code, message, problem.mend) from error
        if not picks or not self.may_decide(task, actor):
            self.may_speak(task, actor)
        if task.state is State.PUBLISHED and await queue_queries.active_of(tx, task.number):
            message = f"#{task.number} is being merged or closed"
            raise ConflictError("already_on_its_way", message, "Look again in a moment.")

    def may_speak(self, task: Task, actor: Actor) -> None:
        """Only a person who could have made the request may reply, because a reply supersedes what others review."""
        settings = self.settings()
        person = settings.people_of(task.repo).named(actor.person or "")
        if person.name == task.requester or task.repo is None:
            return
        request = request_of(task, person.name, actor.surface or "")
        if request.lane is None:
            self._may_answer(task, request)
        elif settings.policy.requirements_of(request) is None:
            raise RefusedError(
                "may_not_reply",
                f"policy does not let {person.name} write in the lane of #{task.number}",
                f"Ask {task.requester} to reply.",
            )

    def _may_answer(self, task: Task, request: PolicyRequest) -> None:
        """Before a lane is known, everyone whom policy lets ask for the change may reply."""
        policy = self.settings().policy
        is_open = policy.decide(request).effect is not Effect.DENY if request.paths else policy.open_lanes(request)
        if not is_open:
            whose = f"asks {task.requester}" if task.state is State.ASKING else f"is {task.requester}'s"
            raise RefusedError(
                "may_not_reply",
                f"#{task.number} {whose}, and policy opens no lane for it to {request.person}",
                f"Ask {task.requester} to answer.",
            )

    def may_decide(self, task: Task, actor: Actor) -> bool:
        """Whether this person may approve the staged diff, and so may also pick a part of it."""
        person = self.settings().people_of(task.repo).named(actor.person or "")
        requirements = task.current.requirements
        return requirements is not None and person.is_one_of(requirements.approvers) and person.may(Role.APPROVER)

    def may_stop(self, task: Task, actor: Actor) -> None:
        """The requester, those who may approve, and the operator at the terminal may stop a task."""
        self.check_role(actor, Role.REQUESTER, task.repo)
        if actor.person is None or actor.person in task.authors:
            return
        settings = self.settings()
        person = settings.people_of(task.repo).named(actor.person)
        requirements = task.current.requirements
        if requirements is None or not person.is_one_of(requirements.approvers):
            raise RefusedError(
                "may_not_stop",
                f"{person.name} neither asked for #{task.number} nor may approve it",
                f"Ask {task.requester}.",
            )

    def may_extend(self, task: Task, actor: Actor) -> None:
        """Maintainers and those who may approve a task may extend its budget, and so may the local operator.

        Its authors may not, unless its rule lets people approve their own changes (``self_approve``).
        """
        if actor.is_operator:
            return
        settings = self.settings()
        person = settings.people_of(task.repo).named(actor.person or "")
        may = people_who_may_extend(settings, task)
        if person.name not in may:
            is_author = person.name in task.authors
            why = "is one of its authors, and its rule has no self_approve" if is_author else "is neither"
            raise RefusedError(
                "may_not_extend",
                f"the budget of #{task.number} is extended by a maintainer or an approver; {person.name} {why}",
                f"Ask {', '.join(may) or 'the operator of Countersign'}.",
            )

    def may_pause_queue(self, actor: Actor, verb: str, repository: str | None = None) -> None:
        """Operators, maintainers and the local operator may hold the queue and let it go on; `verb` says which.

        The queue is shared by all teams, so this needs a role in the whole home; a team's own operators may hold a
        `repository` of theirs.
        """
        if actor.is_operator:
            return
        settings = self.settings()
        people = settings.people_of(repository) if repository else settings.people
        person = people.get(actor.person or "") or settings.people.named(actor.person or "")
        if not person.may(Role.OPERATOR):
            message = f"{person.name} is not a maintainer or an operator"
            raise RefusedError("may_not_hold", message, f"Ask one to {verb} the queue.")

    def may_drain(self, actor: Actor, endpoint: str, verb: str) -> None:
        """Operators, maintainers and the local operator may drain an endpoint and resume it; `verb` is which."""
        if actor.is_operator:
            return
        person = self.settings().people.named(actor.person or "")
        if not person.may(Role.OPERATOR):
            message = f"{person.name} is not a maintainer or an operator"
            raise RefusedError("may_not_drain", message, f"Ask one to {verb} {endpoint}.")

    def may_change_schedule(self, schedule: str, owner: str, actor: Actor, repository: str | None) -> None:
        """The owner of a recurring request may change it, and so may admins, maintainers and the local operator."""
        self.check_role(actor, Role.REQUESTER, repository)
        settings = self.settings()
        people = settings.people_of(repository) if repository else settings.people
        if actor.person in (None, owner) or people.named(actor.person or "").may(Role.ADMIN):
            return
        raise RefusedError("not_yours", f"{schedule} is a recurring request of {owner}", f"Ask {owner}.")

    def may_merge(self, task: Task, published: Revision | None, actor: Actor) -> None:
        """Those whom the live rule names, and the operator at the terminal, may merge the `published` revision."""
        if actor.person is None:
            return
        settings = self.settings()
        person = settings.people_of(task.repo).named(actor.person)
        allowed = mergers(settings, task, published)
        if person.name not in allowed:
            raise RefusedError(
                "may_not_merge",
                f"policy does not let {person.name} merge #{task.number}",
                f"It may be merged by {', '.join(allowed) or 'no one'}.",
            )


def mergers(settings: Settings, task: Task, published: Revision | None) -> tuple[str, ...]:
    """Everyone whom the rule in force lets merge the `published` revision, sorted."""
    live = requirements_now(settings, task, published)[1]
    people = settings.people_of(task.repo)
    return people.matching_with(live.merge_from or live.approvers, Role.APPROVER) if live else ()


def role_problem(person: Person, needed: Role) -> Problem | None:
    """Why a person's roles do not let them do what needs the role `needed`; None if they do."""
    if person.may(needed):
        return None
    message = f"{person.name} has the role {person.bound.word}; this needs the role {needed.word}"
    return Problem(Kind.REFUSED, "role", message, "An operator of Countersign gives roles, in countersign.yaml.")


async def decided_by(tx: Tx, task: Task) -> str:
    """In brackets, who decided on the staged diff, or who began a revision that has none; else an empty text."""
    if task.staged is None:
        return f" (revision {task.revision} by {task.current.author})" if task.revision > 1 else ""
    approvals = [a for a in await tasks.approvals_of(tx, task.number) if a.digest == task.staged.digest]
    return f" (decided by {', '.join(f'{a.person}: {a.verdict.value}' for a in approvals)})" if approvals else ""


def refused(task: Task, reason: str) -> RefusedError:
    """The error for a reply that asks for a change which policy does not allow."""
    return RefusedError(
        "refused_by_policy", f"#{task.number} stays as it is: {reason}", "Ask for something else in your reply."
    )
