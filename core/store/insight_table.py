"""The table of figures by day, from which the page of insights is read instead of from all rows."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Float
from sqlmodel import Field

from core.store.tables import Row


class DayFigureRow(Row, table=True):
    """One figure of one day (UTC); see `core.model.insight.Measure`."""

    __tablename__ = "day_figures"

    day_ms: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    measure: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    repository: str = Field(default="", primary_key=True)
    count: int = Field(sa_column=Column(BigInteger, nullable=False))
    total: float = Field(sa_column=Column(Float, nullable=False))
    bins: dict[str, int] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
