"""Reporters: how far a piece of work is, what its models cost, and which points between two effects it reached."""

from __future__ import annotations

from typing import Protocol

from core.model.provenance import Usage, summed
from core.model.step_time import StepTime


class ProgressReporter(Protocol):
    """Takes a few words about the progress of the work, for its cards; it may drop them."""

    async def __call__(self, words: str, /) -> None:
        """Report `words`: facts from the host, never a model's own words."""


async def ignore_progress(_words: str) -> None:
    """A `ProgressReporter` that drops every report."""


class UsageReporter(Protocol):
    """The spending ledger for one part of a piece of work: one entry for each call of a model, never changed."""

    async def report(self, call: str, usage: Usage, /) -> bool:
        """Append what `call` cost; durable on return.

        `call` is an id that no other call of this part has. A call that is reported again when the work is replayed
        counts once; then this returns False. Raises `CountersignError` if the work may not continue.
        """

    async def spent(self) -> tuple[Usage, ...]:
        """What this part and the parts below it spent so far, in all attempts of the work: a sum for each model."""

    def part(self, name: str) -> UsageReporter:
        """The reporter of one part of the work."""


class MemoryUsage:
    """A `UsageReporter` in memory, for work that is charged to no one.

    `entries` are those of all parts, by part and call, in the order of their first report.
    """

    def __init__(self, name: str = "", entries: dict[tuple[str, str], Usage] | None = None) -> None:
        self._name = name
        self.entries: dict[tuple[str, str], Usage] = {} if entries is None else entries

    async def report(self, call: str, usage: Usage) -> bool:
        """Append what a call cost, unless it was reported already."""
        is_new = (self._name, call) not in self.entries
        self.entries.setdefault((self._name, call), usage)
        return is_new

    async def spent(self) -> tuple[Usage, ...]:
        """The sums of this part and the parts below it."""
        return summed(
            usage
            for (part, _), usage in self.entries.items()
            if not self._name or part == self._name or part.startswith(f"{self._name}/")
        )

    def part(self, name: str) -> MemoryUsage:
        """The reporter of one part, into the same entries."""
        return MemoryUsage(f"{self._name}/{name}" if self._name else name, self.entries)


class OutputReporter(Protocol):
    """Takes what the programs of a piece of work write, while they write it, for people who look; it may drop some."""

    def add(self, name: str, chunk: bytes, /, secret: str = "") -> None:
        """Take untrusted output of a program; `name` is that of the file in which all of it is kept later.

        `secret` is a text that must not be shown, in addition to what the guard masks.
        """

    def part(self, name: str) -> OutputReporter:
        """The reporter of one part of the work."""


class IgnoredOutput:
    """An `OutputReporter` for work that no one looks at."""

    def add(self, _name: str, _chunk: bytes, /, secret: str = "") -> None:
        """Drop the output."""

    def part(self, _name: str) -> IgnoredOutput:
        """Itself."""
        return self


class StepReporter(Protocol):
    """Takes when the steps of a workflow ran."""

    async def report(self, position: int, step: StepTime, /) -> None:
        """The step at `position` just ended; its times are those of any clock that counts milliseconds."""


class IgnoredSteps:
    """A `StepReporter` for work that no one looks at."""

    async def report(self, _position: int, _step: StepTime, /) -> None:
        """Drop the report."""


class Milestones(Protocol):
    """Receives every point between two effects, in order; for progress, and for tests that stop there."""

    def reached(self, point: str, **facts: object) -> None:
        """`point` was reached, e.g. ``publish.pushed``."""
