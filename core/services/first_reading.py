"""The first reading of a text: one that cannot lead to a revision is refused before anything changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from core.model.advice import Advice, CommandName, Suggestion, advise
from core.model.decision import Effect
from core.model.errors import UsageError, being_read
from core.model.intent import Idle, Intent, Unclear
from core.model.job import JobKind
from core.model.lifecycle import State
from core.model.task import Basis, Task
from core.model.turn import Actor, TurnDraft
from core.model.workflow import COMMAND
from core.ports import Reader
from core.rules.authorization import refused
from core.rules.lane_availability import ASSUMED
from core.rules.planning import RequestOrigin, open_lanes, plan_request
from core.settings import SettingsSource
from core.store import events, jobs, queue_queries, workers
from core.store.transition import OwedWork, owed_job
from core.store.unit_of_work import Tx

WITHOUT_BUTTONS: Final = frozenset({"terminal", "github"})
"""Surfaces without buttons."""


@dataclass(frozen=True, slots=True)
class ProposedReply:
    """A reply that may begin the next revision of `task`: `draft` would be its turn `n`, on `basis`.

    `lane` is the one that was asked for.
    """

    task: Task
    draft: TurnDraft
    basis: Basis
    n: int
    lane: str | None


@dataclass(frozen=True, slots=True)
class FirstReading:
    """Judges a text by what the grammar can tell of it; what only a model can read is left to `core.jobs.read`."""

    reader: Reader
    settings: SettingsSource

    def check_request(self, text: str, lane: str | None) -> None:
        """Raise `UsageError` for a text that asks for nothing; in a named lane any text may be a request."""
        if lane is None and isinstance(self.reader.read(text), Idle):
            raise UsageError(
                "nothing_asked",
                "that asks for no change, so nothing was done",
                'Say what to change, such as "set server.timeout to 30 in config/app.yaml".',
            )

    async def owe(self, tx: Tx, reply: ProposedReply) -> bool:
        """Owe a job that reads what only a model can read, and leave the task as it is until then; False otherwise.

        Replies are read one at a time. Raises what `needs_model` raises, and `TransientError` while an earlier reply
        is being read.
        """
        number, draft = reply.task.number, reply.draft
        reads = await queue_queries.reads_of(tx, number)
        job_id = draft.job_id(tx.new_id)
        if any(job.id == job_id for job in reads):  # delivered twice
            return True
        if reads:
            raise being_read(number)
        if not self.needs_model(reply, await workers.offered(tx)):
            return False
        if await queue_queries.known(tx, job_id):
            return True
        row = owed_job(tx, reply.task, JobKind.READ, reply.task.revision, OwedWork())
        row.id, row.payload = job_id, draft.to_json()
        await jobs.add(tx, row)
        await events.append(
            tx,
            number=number,
            kind="reply.received",
            person=draft.actor.person,
            surface=draft.actor.surface,
            body={"text": draft.text, "revision": reply.task.revision},
        )
        return True

    def needs_model(self, reply: ProposedReply, living: Sequence[frozenset[str]]) -> bool:
        """Whether only a model can tell what a reply asks for; `living` is what living workers offer.

        Raises `UsageError` for a text that asks for nothing or that nobody here can read, and `RefusedError` for a
        change that policy does not allow.
        """
        task, draft, basis, n, lane = reply.task, reply.draft, reply.basis, reply.n, reply.lane
        if n not in basis.turns:  # an answer that was offered, or the same work once more
            return False
        named = self.settings().lanes.get(lane or "")
        if named is not None and named.executor == COMMAND:  # it does the same for any text
            return False
        read = self.reader.read(draft.text)
        if isinstance(read, Idle):
            raise _idle(task, draft.actor, consents=read.consents)
        if named is not None and not self.reader.edits_by_rule(named):  # its executor reads it
            return False
        if isinstance(read, Unclear):
            return self._left_to_others(task, read, lane, draft.actor, living)
        if basis.turns == (n,):
            self._check_allowed(task, Intent(draft.text, read), lane, draft.actor)
        return False

    def _left_to_others(
        self, task: Task, read: Unclear, lane: str | None, actor: Actor, living: Sequence[frozenset[str]]
    ) -> bool:
        settings = self.settings()
        lanes = open_lanes(settings, _origin(task, lane, actor)) if task.repo else ()
        if lanes and self.reader.asks_a_model():
            return True
        if any(self.reader.takes_any_wording(lane, living) for lane in lanes):
            return False
        can = f"For example: {'; '.join(read.can[:2])}." if read.can else ""
        raise UsageError("not_understood", f"#{task.number} stays as it is: {read.reason.rstrip('.')}", can)

    def _check_allowed(self, task: Task, intent: Intent, lane: str | None, actor: Actor) -> None:
        if task.repo is None:
            return
        decision = plan_request(self.settings(), ASSUMED, _origin(task, lane, actor), intent).decision
        if decision.effect is Effect.DENY:
            raise refused(task, decision.reason)


def _idle(task: Task, actor: Actor, *, consents: bool) -> UsageError:
    """A text asked for nothing; whoever seems to approve is told how that is done."""
    number = task.number
    mend: str | Advice = ""
    if consents and task.state is State.STAGED:
        press = "" if actor.surface in WITHOUT_BUTTONS else "press Approve on its card, or "
        typed = Suggestion(CommandName.APPROVE, number, ("DIGEST",))
        mend = advise(f"To countersign it, {press}write ", typed, " with the digest that the card shows.")
    elif consents and task.state is State.PUBLISHED:
        mend = advise("To merge it, write ", Suggestion(CommandName.MERGE, number), ".")
    elif task.state is State.ASKING and task.question is not None:
        mend = "It still waits for an answer to its question."
    what = "words alone approve nothing" if consents else "that asks for no change"
    return UsageError("nothing_asked", f"{what}, so #{number} stays as it is", mend)


def _origin(task: Task, lane: str | None, actor: Actor) -> RequestOrigin:
    return RequestOrigin(actor.person or "", task.surface, task.repo or "", lane)
