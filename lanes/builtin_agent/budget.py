"""Counts the builtin agent's answers against the lane's budget, and its repeated calls."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from core.model.budget import Budget, BudgetAccount, Spending
from core.model.budget_question import BudgetSpentError
from core.model.errors import PermanentError
from core.model.provenance import Usage, summed
from core.ports.reporting import ProgressReporter
from lanes.models import ToolCall

_MIN_ANSWER_TOKENS: Final = 256
_CHARS_PER_TOKEN: Final = 4


@dataclass(slots=True)
class BudgetMeter:
    """Counts a piece of work against `budget`; raises `BudgetSpentError` with the limit that was reached.

    `usage` is the spending of each model in all tries of the work.
    """

    budget: Budget
    lane: str
    usage: tuple[Usage, ...] = ()
    step: int = field(default=0, init=False)
    _repeats: dict[str, int] = field(default_factory=dict, init=False)
    _changes: int = field(default=0, init=False)

    @property
    def account(self) -> BudgetAccount:
        """The budget's limits, and the spending of all models together."""
        return BudgetAccount.of_work(self.budget, Spending.of(self.usage))

    def progress(self) -> str:
        """The progress of the work, in a few words."""
        of_steps = f" of at most {self.budget.steps}" if self.budget.steps else ""
        return f"step {self.step}{of_steps}, {self.account.spent.tokens:,} tokens"

    def begin_step(self) -> None:
        """Begin the next step, before the request to the model; raises `BudgetSpentError` if no budget is left."""
        account = self.account
        if (exceeded := account.exceeded) is not None:
            raise BudgetSpentError(
                f"The work in lane {self.lane} spent {exceeded.amounts}",
                exceeded,
                f"Ask for a smaller change, or raise `{exceeded.key}` in the lane's budget.",
            )
        self.step = account.spent.calls + 1

    def add(self, usage: Usage) -> None:
        """Count the cost of an answer."""
        self.usage = summed((*self.usage, usage))

    def count_call(self, call: ToolCall, changes: int) -> None:
        """Count a call; raises `PermanentError` if it repeats too often without a new write (`changes` counts them)."""
        if changes != self._changes:
            self._changes = changes
            self._repeats.clear()
        key = json.dumps([call.name, dict(call.arguments)], sort_keys=True, default=str)
        times = self._repeats[key] = self._repeats.get(key, 0) + 1
        if self.budget.repeats and times > self.budget.repeats:
            raise PermanentError(
                "model_in_circles",
                f"The model of lane {self.lane} called {call.name[:60]!r} {times} times in the same way",
                "Say more precisely what to change, or name another model in the lane.",
            )

    def answer_tokens(self, limit: int) -> int:
        """The length limit of the next answer: `limit`, or what remains of the budget if that is less."""
        if not self.budget.tokens:
            return limit
        return max(_MIN_ANSWER_TOKENS, min(limit, self.account.left.tokens))

    def answer_listener(self, report: ProgressReporter) -> Callable[[str], Awaitable[None]]:
        """A listener for streamed text that reports the length of the answer, never its text, which is unverified."""
        length = 0

        async def listen(text: str) -> None:
            nonlocal length
            length += len(text)
            await report(f"{self.progress()}; writing, {length // _CHARS_PER_TOKEN:,} tokens so far")

        return listen
