"""Reading words before they change anything: what cannot lead to a revision is refused and leaves all as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.decision import Effect, Petition
from core.errors import RefusedError, UsageError
from core.intent import Idle, Intent, Unclear
from core.lifecycle import State
from core.ports import Reader
from core.settings import SettingsSource
from core.task import Basis, Task
from core.turn import Actor, Words


@dataclass(frozen=True, slots=True)
class FirstReading:
    """Judges words by what can be known of them at once; only a model's reading takes longer (see `core.work.read`)."""

    reader: Reader
    settings: SettingsSource

    def check_request(self, text: str, lane: str | None) -> None:
        """Raise `UsageError` for words that ask for nothing; in a lane that was named any words may be a request."""
        if lane is None and isinstance(self.reader.read(text), Idle):
            raise UsageError(
                "nothing_asked",
                "that asks for no change, so nothing was done",
                'Say what to change, such as "set server.timeout to 30 in config/app.yaml"; '
                "see `countersign --help` for more.",
            )

    def needs_model(
        self, task: Task, words: Words, basis: Basis, n: int, lane: str | None, living: Sequence[frozenset[str]]
    ) -> bool:
        """Whether only a model can say what `words`, which would be turn `n` of `task`, ask for.

        Raises `UsageError` for words that ask for nothing or that nobody here can read, and `RefusedError` for a
        change that policy does not allow. `lane` is the one that was asked for, `living` what living workers offer.
        """
        if n not in basis.turns:  # an answer that was offered, or the same work once more
            return False
        named = self.settings().lanes.get(lane or "")
        if named is not None and named.executor == "command":  # whatever is said, it does the same
            return False
        read = self.reader.read(words.text)
        if isinstance(read, Idle):
            raise _idle(task, consents=read.consents)
        if named is not None and named.executor != "edit":  # whoever works there reads it
            return False
        if isinstance(read, Unclear):
            return self._left_to_others(task, read, lane, words.actor, living)
        if basis.turns == (n,):
            self._check_allowed(task, Intent(words.text, read), lane, words.actor)
        return False

    def _left_to_others(
        self, task: Task, read: Unclear, lane: str | None, actor: Actor, living: Sequence[frozenset[str]]
    ) -> bool:
        settings = self.settings()
        names = settings.policy.open_lanes(_petition(task, (), lane, actor)) if task.repo else ()
        if names and self.reader.asks_a_model():
            return True
        if any(self.reader.takes_any_wording(settings.lanes[name], living) for name in names):
            return False
        can = f"I can: {'; '.join(read.can)}" if read.can else ""
        raise UsageError("not_understood", f"#{task.number} stays as it is: {read.reason.rstrip('.')}", can)

    def _check_allowed(self, task: Task, intent: Intent, lane: str | None, actor: Actor) -> None:
        if task.repo is None:
            return
        decision = self.settings().policy.decide(_petition(task, intent.paths(), lane, actor, deterministic=True))
        if decision.effect is Effect.DENY:
            raise refused(task, decision.reason)


def refused(task: Task, reason: str) -> RefusedError:
    """The refusal of a reply that asks for what policy does not allow."""
    return RefusedError(
        "refused_by_policy", f"#{task.number} stays as it is: {reason}", "Ask for something else in your reply."
    )


def _idle(task: Task, *, consents: bool) -> UsageError:
    """That words asked for nothing; those who seem to approve are told how that is done."""
    number = task.number
    mend = ""
    if consents and task.state is State.STAGED:
        mend = (
            f"To countersign it, use Approve on its card, or write `countersign approve {number} DIGEST` "
            "with the digest that the card shows."
        )
    elif consents and task.state is State.PUBLISHED:
        mend = f"To merge it, write `countersign merge {number}`."
    elif task.state is State.ASKING and task.question is not None:
        mend = "It still waits for an answer to its question."
    what = "words alone approve nothing" if consents else "that asks for no change"
    return UsageError("nothing_asked", f"{what}, so #{number} stays as it is", mend)


def _petition(
    task: Task, paths: tuple[str, ...], lane: str | None, actor: Actor, *, deterministic: bool = False
) -> Petition:
    return Petition(
        person=actor.person or "",
        surface=task.surface,
        repository=task.repo or "",
        paths=paths,
        lane=lane,
        deterministic=deterministic,
    )
