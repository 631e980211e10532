"""Tracks the spending of an agent program's run, what it may still spend, and whether its model answers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Final

from core.model.budget import Budget, BudgetAccount, ExceededLimit, Spending
from core.model.errors import CountersignError
from core.model.ids import new_id
from core.model.provenance import Usage
from core.ports.reporting import MemoryUsage, UsageReporter

MAX_FAILURES: Final = 5
"""The failed answers in a row that stop a run."""
_MAX_FAILURES_IN_ALL: Final = 100


@dataclass(slots=True)
class UsageAccount:
    """The account of one run. `closed` is set when the run should stop, and one of the following says why.

    `exceeded` is the budget limit that was reached, `repeated` describes a call that was repeated too often, `down` is
    the endpoint's failure, `refused` is why the endpoint does not serve this lane, and `fault` is the error of a report
    to the ledger.

    `usage` is the spending of this run; `earlier` is that of earlier tries of the same work, which counts too.
    `pending` counts the requests without an answer yet, `unanswered` those at the end of the run.
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
    pending: int = 0
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
        """The account of a run with the earlier tries in the ledger, whose sum counts for `model`."""
        earlier = Usage(model)
        for usage in await ledger.spent():
            earlier = earlier.plus(usage)
        return cls(model, budget, ledger, earlier)

    @property
    def down(self) -> str:
        """Why the model counts as unavailable, because its last answers all failed; empty while it answers."""
        if self._rejected:
            return ""
        return self.failing if self._failures >= MAX_FAILURES or not self.usage.calls else ""

    @property
    def total(self) -> Usage:
        """The spending of all tries of this work."""
        return self.usage if self.earlier is None else self.usage.plus(self.earlier)

    @property
    def _account(self) -> BudgetAccount:
        return BudgetAccount.of_work(self.budget, Spending.of([self.total]))

    def refusal(self, call: str = "", times: int = 0) -> str:
        """Why the next request is refused; empty if it is allowed.

        `call` is the name of the model's last call, and `times` how often it was repeated in a row.
        """
        account = self._account
        if (exceeded := account.exceeded) is not None:
            return self._close_on(exceeded)
        if self.budget.steps and account.spent.calls + self.pending >= self.budget.steps:
            return "All requests that the budget still allows are pending"
        if self.budget.repeats and times > self.budget.repeats:
            self.repeated = f"called {call!r} {times} times in the same way"
            self.closed.set()
        if self.repeated:
            return f"The model goes in circles: it {self.repeated}"
        return str(self.fault) if self.fault is not None else self.refused

    def is_overdrawn(self, tokens: int) -> bool:
        """True if an answer of `tokens` so far exceeds the remaining budget."""
        return 0 < self.budget.tokens < self._account.spent.tokens + tokens

    def report_cost(self, usd: float) -> None:
        """Record the total cost that the program reports for this run; the next ledger entry includes it."""
        reported = self.usage.usd
        if reported is not None and usd <= reported:  # a total never decreases
            return
        self._unreported_usd += usd - (reported or 0.0)
        self.usage = replace(self.usage, usd=usd)
        dollars = BudgetAccount(Spending(usd=self.budget.usd), self._account.spent)
        if dollars.exceeded is not None:
            self._close_on(dollars.exceeded)

    async def add_answer(self, input_tokens: int, output_tokens: int, *, complete: bool = True) -> None:
        """Count and report an answer; an incomplete one has its cost too."""
        if complete:
            self._failures, self.failing, self._rejected = 0, "", False
        answer = Usage(self.model, 1, input_tokens, output_tokens)
        self.usage = self.usage.plus(answer)
        await self._report(answer)

    async def settle(self) -> None:
        """Report the cost that the program named after its last answer."""
        if self._unreported_usd:
            await self._report(Usage(self.model))

    def add_failure(self, reason: str, *, rejected: bool = False) -> None:
        """Count a missing or incomplete answer; `rejected` means that the endpoint blames the request."""
        if self._ended:
            return
        self._rejected = rejected
        self._failures += 1
        self._failures_in_all += 1
        self.failing = reason
        if self._failures >= MAX_FAILURES or self._failures_in_all >= _MAX_FAILURES_IN_ALL:
            self.closed.set()

    def end(self) -> None:
        """End the account: requests that are dropped afterwards are not failures of the endpoint."""
        if not self._ended:
            self._ended, self.unanswered = True, self.pending

    def refuse(self, reason: str) -> None:
        """Record that the endpoint does not serve this lane, so that retries are useless."""
        self.refused = reason
        self.closed.set()

    async def _report(self, usage: Usage) -> None:
        """Append an entry to the ledger, with the cost that is not in it yet."""
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
