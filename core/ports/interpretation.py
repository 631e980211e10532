"""Interpreters, which read the text of a request, and the context that they get for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.model.edits import Edit
from core.model.intent import Idle, Intent, Unclear
from core.model.lane import Lane
from core.model.turn import Turn
from core.ports.journal import Journal
from core.ports.reporting import UsageReporter


@dataclass(frozen=True, slots=True)
class LaneOffer:
    """A lane that policy lets the person use; `reads` is true if its executor takes any wording."""

    lane: str
    describe: str
    write: tuple[str, ...]
    reads: bool


@dataclass(frozen=True, slots=True)
class InterpretationContext:
    """Where a request is read: the repository (None: not known yet), its files, and the lanes on offer there.

    `questions` are those that people were asked so far, as turns: each has the number of the turn that it followed.
    `read` returns the content of one of the files, or None. `usage` takes what reading costs; `spent` says why nothing
    may be spent on it any more, or is empty.
    """

    repository: str | None = None
    offers: tuple[LaneOffer, ...] = ()
    files: Callable[[], Awaitable[Sequence[str]]] | None = None
    journal: Journal | None = None
    questions: tuple[Turn, ...] = ()
    usage: UsageReporter | None = None
    spent: str = ""
    read: Callable[[str], Awaitable[bytes | None]] | None = None


class Interpreter(Protocol):
    """Reads the intent of a text. Its result is untrusted."""

    async def interpret(self, turns: Sequence[Turn], context: InterpretationContext) -> Intent | Unclear:
        """The intent of the last of `turns`, read together with the earlier ones."""


class Reader(Protocol):
    """Reads a text at once and without a model, before it changes anything."""

    def read(self, text: str) -> tuple[Edit, ...] | Idle | Unclear:
        """The edits that `text` asks for, `Idle` if it asks for nothing, or why it cannot be read; pure."""

    def asks_a_model(self) -> bool:
        """Whether a model reads the texts that this reader cannot."""

    def edits_by_rule(self, lane: Lane) -> bool:
        """Whether the lane's executor only makes known edits, so that a text must be read first."""

    def takes_any_wording(self, lane: Lane, living: Sequence[frozenset[str]]) -> bool:
        """Whether the lane's executor works from any wording, so that nothing has to be read first.

        It must be able to run in this process or on a living worker; `living` are the capabilities of each of those.
        """
