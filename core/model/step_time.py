"""When the steps of a workflow ran, and which of them decided how long it took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class StepEnd(StrEnum):
    """How a step ended."""

    RAN = "ran"
    REUSED = "reused"
    """Its result came from the cache, or from an earlier worker."""
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class StepTime:
    """When one step of a job ran, in UTC milliseconds; `needs` are the steps of that job that it waited for."""

    name: str
    needs: tuple[str, ...]
    how: StepEnd
    started_ms: int
    ended_ms: int

    @property
    def seconds(self) -> float:
        """How long it took."""
        return max(0, self.ended_ms - self.started_ms) / 1000


def critical_path(steps: Sequence[StepTime]) -> tuple[StepTime, ...]:
    """The chain of steps that decided the duration of a run, the first one first; empty without steps.

    It leads from the step that ended last back through whatever each one waited for: of what it needs the step that
    ended last or, where all slots were taken, the step that gave a slot back.
    """
    if not steps:
        return ()
    by_name = {step.name: step for step in steps}
    path = [max(steps, key=lambda step: step.ended_ms)]
    while (before := _awaited(path[-1], by_name, steps)) is not None:
        path.append(before)
    return tuple(reversed(path))


def _awaited(step: StepTime, by_name: dict[str, StepTime], steps: Sequence[StepTime]) -> StepTime | None:
    """The step whose end let this one start; None if it started with the run."""
    needed = [by_name[name] for name in step.needs if name in by_name]
    last = max(needed, key=lambda each: each.ended_ms, default=None)
    free_ms = last.ended_ms if last is not None else min(each.started_ms for each in steps)
    freed = [each for each in steps if free_ms < each.ended_ms <= step.started_ms and each is not step]
    return max(freed, key=lambda each: each.ended_ms, default=last)
