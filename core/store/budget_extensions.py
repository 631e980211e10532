"""Extensions of budgets: what people added to the budget of a revision's work, one row each, never changed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import BigInteger, Boolean, Column, func
from sqlmodel import Field, col, select

from core.model.budget import NOTHING, Spending
from core.store.tables import Row, ms_column
from core.store.unit_of_work import Tx


class BudgetExtensionRow(Row, table=True):
    """One extension of the budget of a revision; `n` is the question that it answers.

    With `is_day` the work may spend these amounts although the budget of the lane's day is used up, on top of
    `spent_tokens` and `spent_usd`, which it had spent by then.
    """

    __tablename__ = "budget_extensions"

    number: int = Field(primary_key=True, foreign_key="tasks.number")
    revision: int = Field(primary_key=True)
    n: int = Field(primary_key=True)
    person: str | None = None
    surface: str | None = None
    is_day: bool = Field(sa_column=Column(Boolean, nullable=False))
    steps: int = Field(sa_column=Column(BigInteger, nullable=False))
    tokens: int = Field(sa_column=Column(BigInteger, nullable=False))
    usd: float
    spent_tokens: int = Field(sa_column=Column(BigInteger, nullable=False))
    spent_usd: float
    at_ms: int = ms_column()


@dataclass(frozen=True, slots=True)
class Extensions:
    """What was added to the budget of some revisions.

    `work` is the sum of what was added to the limits of the work. `day` is up to where the newest revision's work may
    spend although the lane's day is used up, earlier spending included.
    """

    work: Spending = NOTHING
    day: Spending = NOTHING


async def of_revisions(tx: Tx, number: int, revisions: Collection[int]) -> Extensions:
    """The extensions of these revisions of a task; those of a day are the newest revision's alone."""
    row = BudgetExtensionRow
    query = select(row).where(row.number == number, col(row.revision).in_(revisions)).order_by(col(row.n))
    work, day = NOTHING, NOTHING
    for each in await tx.session.exec(query):
        if not each.is_day:
            work = work.plus(Spending(each.steps, each.tokens, each.usd))
        elif each.revision == max(revisions):
            tokens = each.spent_tokens + each.tokens if each.tokens else 0
            usd = each.spent_usd + each.usd if each.usd else 0.0
            day = Spending(0, max(day.tokens, tokens), max(day.usd, usd))
    return Extensions(work, day)


async def count(tx: Tx, number: int, revision: int) -> int:
    """How often the budget of a revision was extended."""
    row = BudgetExtensionRow
    query = select(func.count()).select_from(row).where(row.number == number, row.revision == revision)
    return int((await tx.session.exec(query)).one())


async def add(tx: Tx, extension: BudgetExtensionRow) -> None:
    """Add an extension."""
    tx.session.add(extension)
    await tx.session.flush()
