"""What a task asks when a budget is used up, and the error that an executor raises then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from core.model.budget import STEPS, TOKENS, USD, Budget, ExceededLimit, Spending
from core.model.errors import Kind, Problem, WorkError
from core.model.stored import StoredObject

ABOUT_BUDGET: Final = "extend"
"""`Question.about` of a question whether a budget shall be extended."""


class BudgetSpentError(WorkError):
    """A limit of the budget is used up, so the work pauses until the limit is extended.

    `exceeded` is the limit, `is_day` says that it is the lane's for 24 hours, and `free_at` when that has budget again.
    `starts_again` says that the executor cannot continue: after an extension it begins its work again.
    """

    def __init__(
        self,
        message: str,
        exceeded: ExceededLimit,
        mend: str = "",
        *,
        is_day: bool = False,
        free_at: datetime | None = None,
        starts_again: bool = False,
        artifacts: Mapping[str, bytes] | None = None,
    ) -> None:
        super().__init__("budget_spent", message, mend, artifacts=artifacts or {})
        self.problem = Problem(Kind.REFUSED, "budget_spent", message, mend)
        self.exceeded, self.is_day, self.free_at, self.starts_again = exceeded, is_day, free_at, starts_again


@dataclass(frozen=True, slots=True)
class BudgetQuestion:
    """The facts of a question for a larger budget.

    `limit` is the key of the limit that is used up (``tokens``, ``steps``, ``usd``); `spent` of `of` is what people are
    told, and `offer` is how much more "as much again" is. `n` counts the questions of the revision, so that a button of
    an earlier one has no effect. `free_at` is when work in the lane goes on without an answer (RFC 3339).
    """

    limit: str
    spent: float
    of: float
    offer: float
    n: int
    is_day: bool = False
    free_at: str | None = None
    starts_again: bool = False

    @property
    def as_much_again(self) -> Spending:
        """The extension by `offer`."""
        return amounts_of({self.limit: self.offer})

    def to_json(self) -> dict[str, Any]:
        """The facts in their stored form, which the task document shows."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> BudgetQuestion:
        """The facts that `to_json` wrote."""
        stored = StoredObject(value, "a question for a larger budget")
        return cls(
            limit=stored["limit"],
            spent=stored["spent"],
            of=stored["of"],
            offer=stored["offer"],
            n=stored["n"],
            is_day=stored.get("is_day", False),
            free_at=stored.get("free_at"),
            starts_again=stored.get("starts_again", False),
        )


def question_about(error: BudgetSpentError, budget: Budget, n: int) -> BudgetQuestion:
    """The `n`-th question of a revision, after `error` in a lane with `budget`."""
    limit = error.exceeded.key
    whole = {TOKENS: budget.tokens, STEPS: budget.steps, USD: budget.usd}[limit]
    return BudgetQuestion(
        limit=limit,
        spent=error.exceeded.spent,
        of=error.exceeded.limit,
        offer=whole or error.exceeded.limit,
        n=n,
        is_day=error.is_day,
        free_at=error.free_at.isoformat() if error.free_at else None,
        starts_again=error.starts_again,
    )


def amounts_of(by_limit: Mapping[str, float]) -> Spending:
    """Amounts given by the keys of limits."""
    return Spending(int(by_limit.get(STEPS, 0)), int(by_limit.get(TOKENS, 0)), float(by_limit.get(USD, 0)))


def described(amounts: Spending) -> str:
    """Amounts in words, such as ``2,000 tokens and 5 steps``."""
    parts = [f"{amounts.tokens:,} tokens"] if amounts.tokens else []
    parts += [f"{amounts.calls:,} steps"] if amounts.calls else []
    parts += [f"{amounts.usd:.2f} dollars"] if amounts.usd else []
    return " and ".join(parts)
