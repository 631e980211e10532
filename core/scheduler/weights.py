"""The weights of the policy: the numbers that `sim tune` may change."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

from core.model.errors import UsageError
from core.scheduler.demand import WorkClass


@dataclass(frozen=True, slots=True)
class Weights:
    """How the policy values what it compares; every weight is 0 or more.

    `chat` and `bulk` are what finishing one demand of a class is worth. `load_age` is how much a second of loading adds
    to the worth of a group that is not resident, so that large families are not put off without end. A load that
    evicts must be worth more than `1 + hysteresis` times what is resident. A family is taken to be needed again if it
    is likely to be within `horizon_s`, from arrivals of which the older ones fade with `memory_s`. The promised start
    is `promise_backlog` of the fair share of the backlog, `promise_s`, and `promise_work` times the expected work
    after the arrival. A class may go on for `turns` rounds of its keys before the longest wait goes first. A
    family is loaded on another endpoint as well when its backlog is worth `replicate` loads. A family that nothing
    waits for is loaded when it is likely to save more waiting within `ahead_s` than its load takes; a second copy saves
    a request `copy_s` while the other endpoint is busy. With `ahead_s` 0 nothing is loaded before it is asked for.
    A load whose evictions are likely to make others wait more than `spared_s` seconds begins once its own demands have
    waited `patience` times what is above that. With `patience` 0 no load is put off for that.
    """

    chat: float = 2.0
    bulk: float = 1.0
    load_age: float = 0.01
    hysteresis: float = 0.3
    horizon_s: float = 100.0
    memory_s: float = 1200.0
    promise_backlog: float = 0.7
    promise_s: float = 600.0
    promise_work: float = 3.0
    turns: float = 32.0
    replicate: float = 1.1
    ahead_s: float = 15.0
    copy_s: float = 12.0
    patience: float = 4.0
    spared_s: float = 30.0

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if not 0 <= value < float("inf"):
                raise UsageError(
                    "bad_weight", f"The weight {each.name} is {value}, but weights are 0 or more", "Correct the weight."
                )

    def of_class(self, work_class: WorkClass) -> float:
        """What finishing one demand of this class is worth."""
        return self.chat if work_class is WorkClass.CHAT else self.bulk

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Read weights by name; raises `UsageError` for a name that is not a weight or a value that is not a number."""
        known = {each.name for each in fields(cls)}
        for name, number in value.items():
            if name not in known:
                raise UsageError("no_weight", f"There is no weight {name!r}", f"Known: {', '.join(sorted(known))}.")
            if isinstance(number, bool) or not isinstance(number, int | float):
                raise UsageError("bad_weight", f"The weight {name} is {number!r}, not a number", "Write a number.")
        return cls(**{name: float(number) for name, number in value.items()})
