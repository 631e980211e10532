"""The tables of the queue's forecasts, and of the loads of models that its statistics count."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, Index
from sqlmodel import Field

from core.store.tables import Row, ms_column


class JobForecastRow(Row, table=True):
    """The newest forecast of one job that is not finished; see `core.model.queue_forecast.StoredForecast`.

    `start` and `finish` are quantiles in seconds since the epoch: low, middle, high. `announced` is what the card was
    last redrawn for: jobs before it, low, middle and high of the wait in seconds, late (0 or 1), and when, in seconds
    since the epoch.
    """

    __tablename__ = "job_forecasts"

    job: str = Field(primary_key=True)
    number: int
    made_ms: int = ms_column()
    before: int
    start: list[float] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    finish: list[float] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    promised_ms: int | None = ms_column(nullable=True)
    announced: list[float] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))


class ModelLoadRow(Row, table=True):
    """One load of a model on an endpoint; `seconds` is NULL for one that another program asked for."""

    __tablename__ = "model_loads"
    __table_args__ = (Index("model_loads_by_time", "at_ms"),)

    id: str = Field(primary_key=True)
    endpoint: str
    model: str
    at_ms: int = ms_column()
    seconds: float | None = Field(default=None, sa_column=Column(Float))
