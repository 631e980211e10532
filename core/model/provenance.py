"""Provenance: how a change was made, by which models at which cost, and the results of the lane's checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from core.model.masking import Mask
from core.model.stored import StoredObject


@dataclass(frozen=True, slots=True)
class Usage:
    """What one model spent on one piece of work, as reported by its endpoint or agent; `usd` None: not reported."""

    model: str
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = None

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Usage:
        """The usage as it was stored with how a change was made, or in the journal of its work."""
        stored = StoredObject(value, "the usage of a model")
        return cls(
            model=stored["model"],
            calls=stored.get("calls", 0),
            input_tokens=stored.get("input_tokens", 0),
            output_tokens=stored.get("output_tokens", 0),
            usd=stored.get("usd"),
        )

    @property
    def tokens(self) -> int:
        """Input and output tokens together."""
        return self.input_tokens + self.output_tokens

    def plus(self, other: Usage) -> Usage:
        """The sum of both, under this one's model name."""
        known = [spent.usd for spent in (self, other) if spent.usd is not None]
        return Usage(
            self.model,
            self.calls + other.calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            sum(known) if known else None,
        )


def summed(usages: Iterable[Usage]) -> tuple[Usage, ...]:
    """One usage per model, in order of first appearance."""
    spent: dict[str, Usage] = {}
    for usage in usages:
        spent[usage.model] = spent[usage.model].plus(usage) if usage.model in spent else usage
    return tuple(spent.values())


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one of the lane's checks on the produced tree; `artifact` is the name of its log."""

    name: str
    passed: bool
    required: bool
    detail: str
    artifact: str
    wall_s: float

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> CheckResult:
        """The result as it was stored with how a change was made."""
        stored = StoredObject(value, "the result of a check")
        return cls(
            name=stored["name"],
            passed=stored["passed"],
            required=stored["required"],
            detail=stored["detail"],
            artifact=stored["artifact"],
            wall_s=stored["wall_s"],
        )


@dataclass(frozen=True, slots=True)
class Provenance:
    """How a change was made: facts from the host, and `words`, which are the model's own and prove nothing.

    It is stored with a revision and covers every revision in the staged diff. `refused` says why the model's last edit
    was not applied, if the work ended without another.

    `awaits` is the next approval step of the lane's workflow; empty if there is none. It is the `step`-th of the lane's
    `steps`, and `asks` is the question in the lane's file. `run_of` is the task whose run made the change, if that was
    not this one's.
    """

    executor: str = ""
    words: str = ""
    usage: tuple[Usage, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    tries: int = 1
    awaits: str = ""
    step: int = 0
    steps: int = 0
    asks: str = ""
    refused: str = ""
    run_of: int | None = None

    def masked(self, mask: Mask) -> Provenance:
        """The same with every text of a model or a program masked."""
        checks = tuple(replace(check, detail=mask(check.detail)) for check in self.checks)
        return replace(self, words=mask(self.words), refused=mask(self.refused), checks=checks)

    def on_top_of(self, earlier: Provenance) -> Provenance:
        """Combine with the `earlier` work that this one continued: its executors, and the sum of the usage.

        Checks and the next approval are this one's alone, because they are about the current tree.
        """
        names = [*earlier.executor.split(", "), *self.executor.split(", ")]
        return replace(
            self,
            executor=", ".join(dict.fromkeys(filter(None, names))),
            words=self.words or earlier.words,
            usage=summed((*earlier.usage, *self.usage)),
            tries=max(self.tries, earlier.tries),
        )

    def to_json(self) -> dict[str, Any]:
        """The provenance as stored with its revision and shown as ``making`` in the task document."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Provenance:
        """The provenance that `to_json` wrote."""
        stored = StoredObject(value, "how a change was made")
        return cls(
            executor=stored.get("executor", ""),
            words=stored.get("words", ""),
            usage=tuple(map(Usage.from_json, stored.get("usage", ()))),
            checks=tuple(map(CheckResult.from_json, stored.get("checks", ()))),
            tries=stored.get("tries", 1),
            awaits=stored.get("awaits", ""),
            step=stored.get("step", 0),
            steps=stored.get("steps", 0),
            asks=stored.get("asks", ""),
            refused=stored.get("refused", ""),
            run_of=stored.get("run_of"),
        )


NO_PROVENANCE = Provenance()
"""The provenance of work that reports nothing, such as a deterministic edit."""
