"""The tables of what is seen while work goes on, and of what decided its duration."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, Text
from sqlmodel import Field

from core.store.tables import Row, ms_column


class JobOutputRow(Row, table=True):
    """A piece of what a program of a running job wrote, masked; written only while someone looks."""

    __tablename__ = "job_output"
    __table_args__ = (
        Index("job_output_of_task", "number", "id"),
        Index("job_output_by_time", "at_ms"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True, autoincrement=True))
    number: int
    job_id: str
    name: str
    text: str = Field(sa_type=Text)
    at_ms: int = ms_column()


class OutputWatchRow(Row, table=True):
    """Someone looks at the output of task `number` until then."""

    __tablename__ = "output_watches"

    number: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    until_ms: int = ms_column()


class StepTimeRow(Row, table=True):
    """When a step of a workflow ran; `needs` are the steps of the same job that it waited for."""

    __tablename__ = "step_times"
    __table_args__ = (Index("step_times_of_task", "number"),)

    job_id: str = Field(primary_key=True)
    step: str = Field(primary_key=True)
    number: int
    revision: int
    lane: str
    position: int
    needs: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    how: str
    started_ms: int = ms_column()
    ended_ms: int = ms_column()


class IncidentRow(Row, table=True):
    """Something that operators are alerted of while it lasts; `closed_ms` is null until it is over."""

    __tablename__ = "incidents"
    __table_args__ = (Index("incidents_by_time", "opened_ms"),)

    id: str = Field(primary_key=True)
    kind: str
    name: str
    sentence: str = Field(sa_type=Text)
    opened_ms: int = ms_column()
    closed_ms: int | None = ms_column(nullable=True)


class OpenIncidentRow(Row, table=True):
    """The open incident of a kind and a name; its key keeps two processes from alerting twice."""

    __tablename__ = "open_incidents"

    kind: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    id: str


class EndpointLookRow(Row, table=True):
    """How often a model server was looked at within an hour, and how often it was up."""

    __tablename__ = "endpoint_looks"

    endpoint: str = Field(primary_key=True)
    hour_ms: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    looks: int
    up: int
