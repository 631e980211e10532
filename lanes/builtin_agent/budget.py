"""The builtin agent's meter: counts its model's answers against the lane's budget, and calls that repeat."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from core.model.budget import Budget, BudgetAccount, Spending
from core.model.errors import PermanentError
from core.model.provenance import Usage, summed
from core.ports import ProgressReporter
from lanes.models import ToolCall

_MIN_ANSWER_TOKENS: Final = 256
_CHARS_PER_TOKEN: Final = 4


class BudgetError(PermanentError):
    """The work used up its budget, or repeats one call without end."""


@dataclass(slots=True)
class BudgetMeter:
    """Counts one piece of work against `budget`; a limit that is reached raises `BudgetError` and names it.

    `usage` is what each model spent, in all tries of the work.
    """

    budget: Budget
    lane: str
    usage: tuple[Usage, ...] = ()
    step: int = field(default=0, init=False)
    _times: dict[str, int] = field(default_factory=dict, init=False)
    _changes: int = field(default=0, init=False)

    @property
    def account(self) -> BudgetAccount:
        """The budget's limits, and what all models spent together."""
        return BudgetAccount.of_work(self.budget, Spending.of(self.usage))

    def progress(self) -> str:
        """How far the work is, in a few words."""
        of_steps = f" of at most {self.budget.steps}" if self.budget.steps else ""
        return f"step {self.step}{of_steps}, {self.account.spent.tokens:,} tokens"

    def begin_step(self) -> None:
        """Begin the next step, before the model is asked; raises `BudgetError` when nothing is left for it."""
        account = self.account
        if (exceeded := account.exceeded) is not None:
            raise BudgetError(
                "budget_spent",
                f"The work in lane {self.lane} spent {exceeded.amounts}",
                f"Ask for less at once, or raise `{exceeded.key}` in the lane's budget.",
            )
        self.step = account.spent.calls + 1

    def add(self, usage: Usage) -> None:
        """Count what an answer cost."""
        self.usage = summed((*self.usage, usage))

    def count_call(self, call: ToolCall, changes: int) -> None:
        """Count a call; raises `BudgetError` when it repeats too often while `changes`, the writes so far, stay."""
        if changes != self._changes:
            self._changes = changes
            self._times.clear()
        key = json.dumps([call.name, dict(call.arguments)], sort_keys=True, default=str)
        times = self._times[key] = self._times.get(key, 0) + 1
        if self.budget.repeats and times > self.budget.repeats:
            raise BudgetError(
                "model_in_circles",
                f"The model of lane {self.lane} called {call.name[:60]!r} {times} times in the same way",
                "Say more exactly what to change, or name another model in the lane.",
            )

    def answer_tokens(self, most: int) -> int:
        """How long the next answer may be: `most`, or what the budget has left where that is less."""
        if not self.budget.tokens:
            return most
        return max(_MIN_ANSWER_TOKENS, min(most, self.account.left.tokens))

    def answer_listener(self, report: ProgressReporter) -> Callable[[str], Awaitable[None]]:
        """Takes an answer as it streams in, and reports how long it is, never its words: those prove nothing."""
        length = 0

        async def listen(text: str) -> None:
            nonlocal length
            length += len(text)
            await report(f"{self.progress()}; writing, {length // _CHARS_PER_TOKEN:,} tokens so far")

        return listen
