"""What one run of an agent program spent, what it may still ask of its model, and whether the model answers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Final

from core.model.budget import Budget, BudgetAccount, ExceededLimit, Spending
from core.model.errors import CountersignError
from core.model.ids import new_id
from core.model.provenance import Usage
from core.ports import MemoryUsage, UsageReporter

MAX_FAILURES: Final = 5
"""After so many failed answers in a row a run is stopped."""
_MAX_FAILURES_IN_ALL: Final = 100


@dataclass(slots=True)
class UsageAccount:
    """The account of one run, kept by the host. `closed` is set when the run should stop, and one of these says why.

    `exceeded` is the limit of the budget that was reached; `repeated` says which call came again and again; `down` what
    the endpoint did instead of answering; `refused` why it does not serve this lane at all; `fault` is what reporting
    to the ledger raised.

    `usage` is what this run spent, and `earlier` what earlier tries of the same work did, which counts as well.
    `asking` counts the questions that are on their way, `unanswered` those that were when the run ended.
    """

    model: str
    budget: Budget
    ledger: UsageReporter = field(default_factory=MemoryUsage)
    earlier: Usage | None = None
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    usage: Usage = field(init=False)
    exceeded: ExceededLimit | None = None
    repeated: str = ""
    refused: str = ""
    failing: str = ""
    fault: CountersignError | None = None
    asking: int = 0
    unanswered: int = 0
    _unreported_usd: float = 0.0
    _ended: bool = False
    _rejected: bool = False
    _failures: int = 0
    _failures_in_all: int = 0

    def __post_init__(self) -> None:
        self.usage = Usage(self.model)

    @classmethod
    async def open(cls, model: str, budget: Budget, ledger: UsageReporter) -> UsageAccount:
        """The account of a run whose earlier tries are in the ledger; their sum counts as that of `model`."""
        earlier = Usage(model)
        for usage in await ledger.spent():
            earlier = earlier.plus(usage)
        return cls(model, budget, ledger, earlier)

    @property
    def down(self) -> str:
        """Why the model counts as unavailable: its last answers all failed. Empty while it answers."""
        if self._rejected:
            return ""
        return self.failing if self._failures >= MAX_FAILURES or not self.usage.calls else ""

    @property
    def total(self) -> Usage:
        """What all tries of this work spent."""
        return self.usage if self.earlier is None else self.usage.plus(self.earlier)

    @property
    def _account(self) -> BudgetAccount:
        return BudgetAccount.of_work(self.budget, Spending.of([self.total]))

    def refusal(self, call: str = "", times: int = 0) -> str:
        """Why nothing more may be asked; empty when it may.

        `call` is the name of the model's last call, and `times` how often it came, the same, in a row.
        """
        account = self._account
        if (exceeded := account.exceeded) is not None:
            return self._close_on(exceeded)
        if self.budget.steps and account.spent.calls + self.asking >= self.budget.steps:
            return "As many answers are on their way as this work may still have"
        if self.budget.repeats and times > self.budget.repeats:
            self.repeated = f"called {call!r} {times} times in the same way"
            self.closed.set()
        if self.repeated:
            return f"The model goes in circles: it {self.repeated}"
        return str(self.fault) if self.fault is not None else self.refused

    def is_overdrawn(self, tokens: int) -> bool:
        """Whether an answer that is `tokens` long so far is longer than what is left."""
        return 0 < self.budget.tokens < self._account.spent.tokens + tokens

    def report_cost(self, usd: float) -> None:
        """Take what the program says that this run cost so far; it goes into the ledger with the next entry."""
        known = self.usage.usd
        if known is not None and usd <= known:  # it says a sum, and takes nothing back
            return
        self._unreported_usd += usd - (known or 0.0)
        self.usage = replace(self.usage, usd=usd)
        dollars = BudgetAccount(Spending(usd=self.budget.usd), self._account.spent)
        if dollars.exceeded is not None:
            self._close_on(dollars.exceeded)

    async def answered(self, input_tokens: int, output_tokens: int, *, whole: bool = True) -> None:
        """Count one more answer, and report it; one that was not `whole` costs as well."""
        if whole:
            self._failures, self.failing, self._rejected = 0, "", False
        answer = Usage(self.model, 1, input_tokens, output_tokens)
        self.usage = self.usage.plus(answer)
        await self._report(answer)

    async def settle(self) -> None:
        """Report what the program said of its cost since its last answer."""
        if self._unreported_usd:
            await self._report(Usage(self.model))

    def failed(self, why: str, *, rejected: bool = False) -> None:
        """Count an answer that did not come, or broke off; `rejected` when the endpoint blames the question."""
        if self._ended:
            return
        self._rejected = rejected
        self._failures += 1
        self._failures_in_all += 1
        self.failing = why
        if self._failures >= MAX_FAILURES or self._failures_in_all >= _MAX_FAILURES_IN_ALL:
            self.closed.set()

    def end(self) -> None:
        """The run is over: we drop what is still asked, which is not a failure of the endpoint."""
        if not self._ended:
            self._ended, self.unanswered = True, self.asking

    def refuse(self, why: str) -> None:
        """The endpoint does not serve this lane: asking again cannot help."""
        self.refused = why
        self.closed.set()

    async def _report(self, usage: Usage) -> None:
        """Append an entry to the ledger, with the dollars that no entry has yet."""
        usd, self._unreported_usd = self._unreported_usd or None, 0.0
        try:
            await self.ledger.report(new_id("call"), replace(usage, usd=usd))
        except CountersignError as fault:
            self.fault = fault
            self.closed.set()

    def _close_on(self, exceeded: ExceededLimit) -> str:
        self.exceeded = exceeded
        self.closed.set()
        return f"The budget of this work is spent: {exceeded.amounts}"
