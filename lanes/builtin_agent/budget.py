"""The budget of one piece of work: answers, tokens, money, and calls that come again with nothing changed between."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from core.model.errors import PermanentError
from core.model.lane import Budget
from core.model.provenance import Usage
from core.ports import ProgressReporter
from lanes.models import ToolCall

_LEAST_TOKENS: Final = 256
_CHARS_A_TOKEN: Final = 4


class BudgetError(PermanentError):
    """The work spent what it may spend, or goes in circles."""


@dataclass(slots=True)
class BudgetMeter:
    """Counts what is spent against `budget`; every bound that is hit raises `BudgetError` naming it."""

    budget: Budget
    lane: str
    steps: int = 0
    _spent: dict[str, Usage] = field(default_factory=dict)
    _seen: dict[str, int] = field(default_factory=dict)
    _changes: int = 0

    @property
    def usage(self) -> tuple[Usage, ...]:
        """What each model spent, in the order in which they were first asked."""
        return tuple(self._spent.values())

    @property
    def tokens(self) -> int:
        """The tokens of all models together."""
        return sum(usage.tokens for usage in self._spent.values())

    def told(self) -> str:
        """How far it is, in a few words."""
        return f"step {self.steps} of at most {self.budget.steps}, {self.tokens:,} tokens"

    def before_step(self) -> None:
        """Count one more answer of the model, before it is asked for."""
        if self.steps >= self.budget.steps:
            raise self._over(f"{self.steps} of {self.budget.steps} answers of the model", "steps")
        if self.budget.tokens and self.tokens >= self.budget.tokens:
            raise self._over(f"{self.tokens:,} of {self.budget.tokens:,} tokens", "tokens")
        usd = sum(usage.usd or 0.0 for usage in self._spent.values())
        if self.budget.usd and usd >= self.budget.usd:
            raise self._over(f"{usd:.2f} of {self.budget.usd:.2f} dollars", "usd")
        self.steps += 1

    def after_step(self, usage: Usage) -> None:
        """Count what an answer cost."""
        known = self._spent.get(usage.model)
        self._spent[usage.model] = known.plus(usage) if known else usage

    def before_call(self, call: ToolCall, changes: int) -> None:
        """Count a call; the same call again and again, with nothing `changes` between, is going in circles."""
        if changes != self._changes:
            self._changes = changes
            self._seen.clear()
        name = json.dumps([call.name, dict(call.arguments)], sort_keys=True, default=str)
        self._seen[name] = self._seen.get(name, 0) + 1
        if self._seen[name] > self.budget.repeats:
            raise BudgetError(
                "model_in_circles",
                f"The model of lane {self.lane} called {call.name[:60]!r} {self._seen[name]} times in the same way",
                "Say more exactly what to change, or name another model in the lane.",
            )

    def most_tokens(self, most: int) -> int:
        """How long the next answer may be."""
        if not self.budget.tokens:
            return most
        return max(_LEAST_TOKENS, min(most, self.budget.tokens - self.tokens))

    def hearing(self, told: ProgressReporter) -> Callable[[str], Awaitable[None]]:
        """Hears an answer as it comes, and tells how long it is; never what it says, which proves nothing."""
        length = 0

        async def heard(text: str) -> None:
            nonlocal length
            length += len(text)
            await told(f"{self.told()}; writing, {length // _CHARS_A_TOKEN:,} tokens so far")

        return heard

    def _over(self, what: str, key: str) -> BudgetError:
        return BudgetError(
            "budget_spent",
            f"The work in lane {self.lane} spent {what}",
            f"Ask for less at once, or raise `{key}` in the lane's budget.",
        )
