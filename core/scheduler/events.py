"""What happens to the scheduler, and what it decides."""

from __future__ import annotations

from dataclasses import dataclass

from core.scheduler.demand import Demand, EndpointSpec
from core.scheduler.reasons import Reason


@dataclass(frozen=True, slots=True)
class Arrived:
    """A demand begins to wait."""

    demand: Demand


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A demand that waits is no longer wanted."""

    demand: str


@dataclass(frozen=True, slots=True)
class Finished:
    """Granted work ended, however it ended."""

    demand: str


@dataclass(frozen=True, slots=True)
class Held:
    """Granted work pauses between two turns: it needs no slot, and its family stays resident until `until_s`."""

    demand: str
    until_s: float


@dataclass(frozen=True, slots=True)
class Loaded:
    """A family that was being loaded is ready."""

    endpoint: str
    family: str


@dataclass(frozen=True, slots=True)
class LoadFailed:
    """A load ended without the family; it is not tried again here before `retry_s`."""

    endpoint: str
    family: str
    retry_s: float


@dataclass(frozen=True, slots=True)
class Vanished:
    """A family is no longer resident although the scheduler did not ask for it."""

    endpoint: str
    family: str


@dataclass(frozen=True, slots=True)
class Appeared:
    """A family is resident although the scheduler did not load it: another program asked the server for it."""

    endpoint: str
    family: str


@dataclass(frozen=True, slots=True)
class Adopted:
    """Work that was granted before this scheduler began; its family is resident there."""

    demand: Demand
    endpoint: str


@dataclass(frozen=True, slots=True)
class EndpointUp:
    """An endpoint can be used, with these families resident, and with work that was granted there before it was known.

    That work needs its slots before anything else is granted.
    """

    spec: EndpointSpec
    residents: tuple[str, ...] = ()
    running: tuple[Demand, ...] = ()


@dataclass(frozen=True, slots=True)
class EndpointDown:
    """An endpoint cannot be used: it vanished, wedged or drains. Work granted on it is `Finished` one by one."""

    endpoint: str


@dataclass(frozen=True, slots=True)
class MemoryChanged:
    """Another process took or returned memory of an endpoint: `memory_mib` may be filled with families from now on."""

    endpoint: str
    memory_mib: int


@dataclass(frozen=True, slots=True)
class Measured:
    """A family that is ready on an endpoint takes `memory_mib` there, as was seen: less than it was given."""

    endpoint: str
    family: str
    memory_mib: int


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed."""


EndpointEvent = (
    Loaded | LoadFailed | Vanished | Appeared | Adopted | EndpointUp | EndpointDown | MemoryChanged | Measured
)
Event = Arrived | Withdrawn | Finished | Held | Tick | EndpointEvent


@dataclass(frozen=True, slots=True)
class Grant:
    """`demand` may use its family on `endpoint` from now on; `due_s` is the start that it was promised."""

    demand: str
    endpoint: str
    reason: Reason
    due_s: float = float("inf")


@dataclass(frozen=True, slots=True)
class Evict:
    """Remove an idle family from an endpoint's GPU; with `to_sleep`, keep it in main memory."""

    endpoint: str
    family: str
    to_sleep: bool = False


@dataclass(frozen=True, slots=True)
class Load:
    """Load `family` on `endpoint`, once what its evictions named is gone; with `wake`, from main memory."""

    endpoint: str
    family: str
    reason: Reason
    wake: bool = False


@dataclass(frozen=True, slots=True)
class Forget:
    """Remove a sleeping family from an endpoint's main memory, to make room there."""

    endpoint: str
    family: str


Decision = Grant | Evict | Forget | Load
