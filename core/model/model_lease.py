"""Model leases: the right to use a model of an endpoint for one piece of work, and the work that asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final


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


ALIVE: Final = (LeaseState.WAITING, LeaseState.GRANTED, LeaseState.HELD)


@dataclass(frozen=True, slots=True)
class ModelWork:
    """What a model is asked for: `job` is the queue's job, `is_chat` whether a person waits in a conversation."""

    job: str | None = None
    is_chat: bool = True


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


@dataclass(frozen=True, slots=True)
class ModelLease:
    """A lease as it is stored; `model` is ``endpoint/name``, and `reason` says why it waits or why it was refused.

    `key` is whom shares are fair between, `kind` is what work is like it: lane and model. `until_at` is when it ends
    unless its owner renews it.
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

    @property
    def endpoint(self) -> str:
        """The endpoint of the model."""
        return self.model.partition("/")[0]
