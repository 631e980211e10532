"""Takes snapshots of the configured endpoints: what each says of itself, its memory, and what its canaries showed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from core.model.endpoint_snapshot import EndpointSnapshot, ResidentModel
from core.model.errors import CountersignError
from core.model.inventory import HostHardware, ServerState
from lanes.inventory.canary_watch import CanaryPace, CanaryWatch
from lanes.inventory.ollama import OllamaProbe
from lanes.inventory.openai import OpenAiProbe
from lanes.inventory.placing import gpus_of, ram_of
from lanes.inventory.reading import EndpointProbe, EndpointReading
from lanes.models.endpoint import Endpoint

_PROBES: Final[Mapping[str, Callable[[Endpoint], EndpointProbe]]] = {"ollama": OllamaProbe, "openai": OpenAiProbe}


@dataclass(slots=True)
class SnapshotTaker:
    """Implements `core.ports.inventory.EndpointWatch` for the endpoints that `endpoints` gives at each look.

    `here` is the name of the node that asks. Each request of a look is answered within `limit_s`. Without
    `sends_canaries` nothing but questions is sent.
    """

    endpoints: Callable[[], Mapping[str, Endpoint]]
    here: str
    limit_s: float = 5.0
    sends_canaries: bool = True
    pace: CanaryPace = field(default_factory=CanaryPace)
    clock: Callable[[], float] = time.monotonic
    _probes: dict[str, tuple[Endpoint, EndpointProbe]] = field(default_factory=dict)
    _watches: dict[str, CanaryWatch] = field(default_factory=dict)

    def names(self) -> frozenset[str]:
        """The names of the configured endpoints."""
        return frozenset(self.endpoints())

    async def look(
        self,
        known: Mapping[str, EndpointSnapshot],
        hardware: Mapping[str, HostHardware],
        in_use: frozenset[str],
        now: datetime,
    ) -> tuple[EndpointSnapshot, ...]:
        """See `core.ports.inventory.EndpointWatch.look`."""
        endpoints = self.endpoints()
        for name in self._watches.keys() - endpoints.keys():
            self._watches.pop(name).close()
        for name in self._probes.keys() - endpoints.keys():
            del self._probes[name]
        looks = (
            self._look_at(endpoint, known.get(name), hardware, now, may_send=name not in in_use)
            for name, endpoint in endpoints.items()
        )
        return tuple(await asyncio.gather(*looks))

    def close(self) -> None:
        """Give up the canaries that are under way."""
        for watch in self._watches.values():
            watch.close()

    async def _look_at(
        self,
        endpoint: Endpoint,
        known: EndpointSnapshot | None,
        hardware: Mapping[str, HostHardware],
        now: datetime,
        *,
        may_send: bool,
    ) -> EndpointSnapshot:
        before = known or EndpointSnapshot(endpoint.name, endpoint.kind)
        blank = EndpointSnapshot(endpoint.name, endpoint.kind, seen_at=before.seen_at, checked_at=now)
        probe = self._probe(endpoint)
        if probe is None:
            return replace(blank, problem="It serves agents only, so it is not asked.", seen_at=None)
        try:
            reading = await probe.read(self.limit_s)
        except CountersignError as error:
            self._forget(endpoint.name)
            blank = self._placed(blank, endpoint, (), hardware)
            problem = error.problem.message
            return replace(blank, state=ServerState.DOWN, problem=problem, server=before.server, models=before.models)
        wedged = self._canaries(endpoint, reading, before, now, may_send=may_send)
        return replace(
            self._placed(blank, endpoint, reading.residents, hardware),
            state=ServerState.WEDGED if wedged else ServerState.UP,
            problem=wedged,
            server=reading.server,
            models=reading.models,
            slots=reading.slots,
            running=reading.running,
            waiting=reading.waiting,
            max_resident=reading.max_resident,
            wakes_models=reading.wakes_models,
            seen_at=now,
        )

    def _placed(
        self,
        snapshot: EndpointSnapshot,
        endpoint: Endpoint,
        residents: tuple[ResidentModel, ...],
        hardware: Mapping[str, HostHardware],
    ) -> EndpointSnapshot:
        """The snapshot with what is loaded there, and the memory that this is in."""
        gpus = gpus_of(endpoint, residents, hardware, self.here)
        ram = ram_of(endpoint, residents, hardware, self.here)
        return replace(snapshot, gpus=gpus, ram=ram, residents=residents)

    def _probe(self, endpoint: Endpoint) -> EndpointProbe | None:
        """The probe of this endpoint, which remembers what it read; a changed configuration gets a new one."""
        if endpoint.kind not in _PROBES:
            return None
        configured, probe = self._probes.get(endpoint.name, (None, None))
        if probe is None or configured != endpoint:
            self._forget(endpoint.name)
            probe = _PROBES[endpoint.kind](endpoint)
            self._probes[endpoint.name] = (endpoint, probe)
        return probe

    def _canaries(
        self,
        endpoint: Endpoint,
        reading: EndpointReading,
        before: EndpointSnapshot,
        now: datetime,
        *,
        may_send: bool,
    ) -> str:
        """What does not answer although it is listed as loaded, in one sentence; empty if nothing is known."""
        if not self.sends_canaries or not reading.has_canary:
            return ""
        watch = self._watches.get(endpoint.name)
        if watch is None:
            wedged = before.problem if before.state is ServerState.WEDGED else ""
            watch = CanaryWatch(endpoint, self.pace, wedged)
            watch.trust(before.residents if before.state is ServerState.UP else ())
            self._watches[endpoint.name] = watch
        watch.update(reading.residents, now, self.clock(), may_send=may_send)
        return watch.wedged

    def _forget(self, name: str) -> None:
        """Forget what was read of an endpoint that went away or was changed."""
        self._probes.pop(name, None)
        if (watch := self._watches.pop(name, None)) is not None:
            watch.close()
