"""Model leases: the right to use a model of an endpoint for one piece of work, and the work that asks for it.

A model is named ``endpoint/name``, or ``*/name`` where any endpoint that has it may serve it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from core.model.job import JobKind
from core.model.stored import StoredObject


class LeaseState(StrEnum):
    """The state of a lease.

    `HELD` leases belong to an agent between two turns: they need no slot, and keep the model loaded for a while.
    `REFUSED` ones were waited for on an endpoint that can serve nothing now.
    """

    WAITING = "waiting"
    GRANTED = "granted"
    HELD = "held"
    ENDED = "ended"
    REFUSED = "refused"


ANY_ENDPOINT: Final = "*"
"""Stands for the endpoint in the name of a model that any endpoint may serve."""
WORK_CLASSES: Final = ("chat", "bulk")
_VERSION: Final = 1

ALIVE: Final = (LeaseState.WAITING, LeaseState.GRANTED, LeaseState.HELD)


@dataclass(frozen=True, slots=True)
class ModelWork:
    """What a model is asked for.

    `job` is the queue's job, and `part` the step of it. The class is chat or bulk: `is_chat` says whether a person
    waits in a conversation. A higher `priority` weighs more, and `deadline_at` is when the work is due. With `is_agent`
    another turn is likely to follow, so that the model stays loaded for it.
    """

    job: str | None = None
    is_chat: bool = True
    is_agent: bool = False
    priority: int = 0
    deadline_at: datetime | None = None
    part: str = ""


def is_chat_work(kind: JobKind, lane_class: str, surface_class: str) -> bool:
    """The class of a job's work; its lane says it for changes, else the surface does, else the kind of job.

    The classes are ``chat``, ``bulk``, or empty for one that is not configured.
    """
    if kind is JobKind.CHANGE and lane_class:
        return lane_class == WORK_CLASSES[0]
    if surface_class:
        return surface_class == WORK_CLASSES[0]
    return kind in (JobKind.PLAN, JobKind.READ)


_OUTSIDE_JOBS: Final = ModelWork()
_CURRENT: ContextVar[ModelWork | None] = ContextVar("model_work", default=None)


@contextmanager
def working_for(work: ModelWork) -> Iterator[None]:
    """Say what models are asked for within the block, in this task and those that it starts."""
    token = _CURRENT.set(work)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def current_work() -> ModelWork:
    """What models are asked for here."""
    return _CURRENT.get() or _OUTSIDE_JOBS


def split_model(text: str) -> tuple[str, str]:
    """The endpoint and the name of a model as lanes write it; `ANY_ENDPOINT` for a name without an endpoint."""
    endpoint, slash, name = text.partition("/")
    return (endpoint, name) if slash else (ANY_ENDPOINT, text)


@dataclass(frozen=True, slots=True)
class ModelPlace:
    """Where a lease was granted: the endpoint, the model's name there, and the context that it is loaded with.

    Requests must name that context, because another one would make the server load the model again.
    """

    endpoint: str
    model: str
    context_tokens: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The place in its stored form."""
        return {"v": _VERSION, "endpoint": self.endpoint, "model": self.model, "context_tokens": self.context_tokens}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ModelPlace:
        """The place that `to_json` wrote."""
        stored = StoredObject(value, "the place of a model lease", newest=_VERSION)
        return cls(stored["endpoint"], stored["model"], stored["context_tokens"])


@dataclass(frozen=True, slots=True)
class ModelLease:
    """A lease as it is stored; `model` is what was asked for, `reason` says why it waits or why it was refused.

    `key` is whom shares are fair between, `kind` is what work is like it: lane and model. `until_at` is when it ends
    unless its owner renews it. `place` is where it was granted. A `is_reservation` has a model loaded before its first
    request: it takes no time, and nothing is learned from it.
    """

    id: str
    state: LeaseState
    model: str
    work: ModelWork
    key: str
    kind: tuple[str, ...]
    arrived_at: datetime
    until_at: datetime
    granted_at: datetime | None = None
    due_at: datetime | None = None
    reason: str = ""
    place: ModelPlace | None = None
    is_reservation: bool = False

    @property
    def only_on(self) -> str:
        """The one endpoint that may serve it; empty when any may that has the model."""
        endpoint, _ = split_model(self.model)
        return "" if endpoint == ANY_ENDPOINT else endpoint

    @property
    def granted_on(self) -> str:
        """The endpoint that it was granted on; leases of older versions have no place, but name their endpoint."""
        return self.place.endpoint if self.place is not None else self.only_on

    @property
    def name(self) -> str:
        """The model's name without its endpoint."""
        return split_model(self.model)[1]
