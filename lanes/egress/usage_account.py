"""What a run may still ask of its model, what it spent, and whether the model is there; kept by the host alone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Final

from core.model.errors import CountersignError
from core.model.lane import Budget
from core.model.provenance import Usage
from core.ports import UsageReporter, charge_nobody

PATIENCE: Final = 5
"""How many answers in a row may fail before a run is not worth going on with."""
_MOST_FRUITLESS: Final = 100


@dataclass(slots=True)
class UsageAccount:
    """The account of one run. `closed` is set when going on is pointless, and one of the reasons says why.

    `usage` is what this run spent, and `before` what earlier tries of the same work did, which counts as well.
    `spent_out` says what was reached of the budget, and `bound` which key of it; `circles` says what call came again
    and again; `down` says what the endpoint did instead of answering, `refused` why it will not answer this lane at
    all; `fault` is what charging raised. `unanswered` is how many questions were on their way when the run ended.
    """

    model: str
    budget: Budget
    charge: UsageReporter = charge_nobody
    before: Usage | None = None
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    usage: Usage = field(init=False)
    spent_out: str = ""
    bound: str = ""
    circles: str = ""
    refused: str = ""
    failing: str = ""
    fault: CountersignError | None = None
    asking: int = 0
    unanswered: int = 0
    _ended: bool = False
    _rejected: bool = False
    _failed: int = 0
    _fruitless: int = 0

    def __post_init__(self) -> None:
        self.usage = Usage(self.model)

    @property
    def down(self) -> str:
        """Why the model counts as gone: its last answers all failed; empty while it answers."""
        if self._rejected:
            return ""
        return self.failing if self._failed >= PATIENCE or not self.usage.calls else ""

    @property
    def total(self) -> Usage:
        """What all tries of this work spent."""
        return self.usage if self.before is None else self.usage.plus(self.before)

    def may_ask(self, call: str = "", times: int = 0) -> str:
        """Why nothing more may be asked; empty when it may.

        `call` is the name of the model's last call, and `times` how often it came, the same, in a row.
        """
        budget, total = self.budget, self.total
        if budget.steps and total.calls >= budget.steps:
            return self._over(f"{total.calls} of {budget.steps} answers of the model", "steps")
        if budget.steps and total.calls + self.asking >= budget.steps:
            return "As many answers are on their way as this work may still have"
        if budget.tokens and total.tokens >= budget.tokens:
            return self._over(f"{total.tokens:,} of {budget.tokens:,} tokens", "tokens")
        if budget.repeats and times > budget.repeats:
            self.circles = f"called {call!r} {times} times in the same way"
            self.closed.set()
        if self.circles:
            return f"The model goes in circles: it {self.circles}"
        return str(self.fault) if self.fault is not None else self.refused

    def overdrawn(self, tokens: int) -> bool:
        """True for an answer that is `tokens` long so far, and so longer than what is left."""
        return 0 < self.budget.tokens < self.total.tokens + tokens

    def costs(self, usd: float) -> None:
        """The program says what this run cost so far."""
        self.usage = replace(self.usage, usd=usd)
        spent = self.total.usd or 0.0
        if self.budget.usd and spent >= self.budget.usd:
            self._over(f"{spent:.2f} of {self.budget.usd:.2f} dollars", "usd")

    async def answered(self, input_tokens: int, output_tokens: int, *, whole: bool = True) -> None:
        """One more answer came, and cost this; one that was not `whole` costs as well."""
        if whole:
            self._failed, self.failing, self._rejected = 0, "", False
        self.usage = self.usage.plus(Usage(self.model, 1, input_tokens, output_tokens))
        await self.settle()

    async def settle(self) -> None:
        """Charge what was spent so far."""
        try:
            await self.charge(self.total)
        except CountersignError as fault:
            self.fault = fault
            self.closed.set()

    def failed(self, why: str, *, rejected: bool = False) -> None:
        """An answer did not come, or broke off; `rejected` when the endpoint said that the question is at fault."""
        if self._ended:
            return
        self._rejected = rejected
        self._failed += 1
        self._fruitless += 1
        self.failing = why
        if self._failed >= PATIENCE or self._fruitless >= _MOST_FRUITLESS:
            self.closed.set()

    def end(self) -> None:
        """The run is over: what is still asked is dropped by us, which is no failure of the endpoint's."""
        if not self._ended:
            self._ended, self.unanswered = True, self.asking

    def refuses(self, why: str) -> None:
        """The endpoint will not have us: asking again cannot help."""
        self.refused = why
        self.closed.set()

    def _over(self, what: str, bound: str) -> str:
        self.spent_out, self.bound = what, bound
        self.closed.set()
        return f"The budget of this work is spent: {what}"
