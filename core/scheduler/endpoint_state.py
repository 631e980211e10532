"""What the scheduler knows of one endpoint: its resident and sleeping families, and what runs on each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from core.scheduler.demand import Demand, EndpointSpec, Family, WorkClass


@dataclass(slots=True)
class Resident:
    """A family on an endpoint's GPU, or on its way there.

    `running` counts granted work, `running_work_s` is how long it was expected to take in all. `holds` says until when
    work between two turns keeps the family; `has_served` is False from a load until the first grant.
    """

    family: Family
    is_ready: bool = False
    running: int = 0
    running_chat: int = 0
    running_work_s: float = 0.0
    has_served: bool = False
    holds: dict[str, float] = field(default_factory=dict)

    def is_held(self, now_s: float) -> bool:
        """Whether work between two turns still keeps the family here."""
        return any(until_s > now_s for until_s in self.holds.values())


@dataclass(slots=True)
class EndpointState:
    """An endpoint that is up. A family that is being loaded has its memory already.

    The families in `leaving` get no more work, so that they become idle and make room for `room_for`. `prefetch_s` is
    when it is looked at next for something to load before it is asked for.
    """

    spec: EndpointSpec
    memory_mib: int
    residents: dict[str, Resident] = field(default_factory=dict)
    asleep: dict[str, Family] = field(default_factory=dict)
    loading: str | None = None
    running: int = 0
    running_chat: int = 0
    retry_s: dict[str, float] = field(default_factory=dict)
    used_mib: int = 0
    room_for: str = ""
    leaving: frozenset[str] = frozenset()
    prefetch_s: float = 0.0

    @property
    def free_mib(self) -> int:
        """The memory that no family has; less than 0 when another process took some."""
        return self.memory_mib - self.used_mib

    @property
    def has_slot(self) -> bool:
        """Whether more work of any class can be granted."""
        return self.running < self.spec.slots

    @property
    def has_chat_slot(self) -> bool:
        """Whether a chat can be granted beside bulk work that has the slots: people do not wait for a batch to end."""
        return self.running_chat < self.spec.slots and self.running < self.spec.slots + self.spec.chat_slots

    def start(self, demand: Demand) -> Resident:
        """Granted work begins; returns what it runs on."""
        resident = self.residents[demand.family]
        resident.has_served = True
        self._count(resident, demand, 1)
        return resident

    def stop(self, resident: Resident, demand: Demand) -> None:
        """Granted work on a family that is still here ended, or needs no slot for a while."""
        self._count(resident, demand, -1)

    def make_room(self, family: str, leaving: Iterable[str]) -> None:
        """Let families become idle for `family`; with an empty name for none."""
        self.room_for, self.leaving = family, frozenset(leaving)

    def _count(self, resident: Resident, demand: Demand, step: int) -> None:
        resident.running += step
        resident.running_work_s = resident.running_work_s + step * demand.work.p50_s if resident.running else 0.0
        self.running += step
        if demand.work_class is WorkClass.CHAT:
            self.running_chat += step
            resident.running_chat += step

    def is_ready(self, family: str) -> bool:
        """Whether work of this family can be granted here."""
        resident = self.residents.get(family)
        return resident is not None and resident.is_ready

    def load_s(self, family: Family) -> float:
        """How long it takes to make the family resident: a wake where it sleeps here, else a load."""
        if family.wake_s is not None and family.name in self.asleep:
            return family.wake_s
        return self.spec.load_s.get(family.name, family.load_s)

    def add(self, resident: Resident) -> None:
        """Give a family its memory."""
        self.residents[resident.family.name] = resident
        self.used_mib += resident.family.memory_mib
        self.asleep.pop(resident.family.name, None)

    def correct(self, family: str, memory_mib: int) -> None:
        """A family that is ready here takes `memory_mib`; nothing changes for another."""
        if self.is_ready(family):
            resident = self.residents[family]
            self.used_mib += memory_mib - resident.family.memory_mib
            resident.family = replace(resident.family, memory_mib=memory_mib)

    def remove(self, family: str) -> Resident | None:
        """Take a family's memory back; None when it is not here."""
        resident = self.residents.pop(family, None)
        if resident is not None:
            self.used_mib -= resident.family.memory_mib
            self.running -= resident.running
            self.running_chat -= resident.running_chat
        if self.loading == family:
            self.loading = None
        return resident
