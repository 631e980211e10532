"""What the scheduler is told: families of models, endpoints, and demands that wait for a family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

LARGEST_WEIGHT: Final = 4.0
"""No priority weighs more than this, so that what has a low one is put off and not starved."""


class WorkClass(StrEnum):
    """How urgent a kind of work is: a person in a chat waits for it, or it may take its time."""

    CHAT = "chat"
    BULK = "bulk"


@dataclass(frozen=True, slots=True)
class Family:
    """Weights together with the load options that force a reload, and what it costs to have them resident.

    `memory_mib` is what it takes on the GPU; `load_s` is a load from disk, `wake_s` from main memory, None when the
    server cannot put it to sleep there. `only_on` names the endpoints that have it; empty: every endpoint can.
    """

    name: str
    memory_mib: int
    load_s: float
    wake_s: float | None = None
    only_on: frozenset[str] = frozenset()

    def can_be_on(self, endpoint: str) -> bool:
        """Whether this endpoint has it."""
        return not self.only_on or endpoint in self.only_on


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """A model server: `memory_mib` may be filled with families, `slots` demands run at the same time.

    `chat_slots` more may be chats that begin beside bulk work. `ram_mib` is how much main memory may hold families that
    sleep. `load_s` overrides a family's load times here.
    """

    name: str
    memory_mib: int
    slots: int = 1
    chat_slots: int = 0
    ram_mib: int = 0
    load_s: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Work:
    """The expected work of a demand in seconds of an endpoint that serves nothing else, as quantiles of history."""

    p50_s: float
    p80_s: float


def weight_of_priority(priority: int) -> float:
    """The weight of a demand: each step of its task's priority counts a quarter more or less, at most fourfold."""
    return min(LARGEST_WEIGHT, max(1 / LARGEST_WEIGHT, 1.25 ** max(-100, min(100, priority))))


@dataclass(frozen=True, slots=True)
class Demand:
    """A piece of work that waits for a family.

    `key` is what shares are fair between, such as a person or a team. `deadline_s` is when a person wants it started;
    the scheduler promises a start of its own when there is none. `only_on` is the one endpoint that may serve it;
    empty: every endpoint that has the family. `weight` multiplies what it is worth. Times are seconds of the caller's
    clock.
    """

    id: str
    family: str
    work: Work
    arrived_s: float
    work_class: WorkClass = WorkClass.CHAT
    key: str = ""
    deadline_s: float | None = None
    only_on: str = ""
    weight: float = 1.0
