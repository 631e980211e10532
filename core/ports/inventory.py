"""The ports of the inventory: looking at the configured model servers, and at the GPUs of this host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from core.model.endpoint_snapshot import EndpointSnapshot
from core.model.inventory import HostHardware


@dataclass(frozen=True, slots=True)
class EndpointRefusal:
    """Why no request may be sent to an endpoint now, and in how many seconds to ask again."""

    reason: str
    wait_s: float


class EndpointAdmission(Protocol):
    """Says which endpoints may be asked, from what all who ask them report."""

    async def admit(self, endpoint: str) -> EndpointRefusal | None:
        """None when a request may be sent now: the caller must then report its success or its failure."""

    async def record_success(self, endpoint: str) -> None:
        """Report that the endpoint works, whatever it answered."""

    async def record_failure(self, endpoint: str, retry_after_s: float | None = None, cause: str = "") -> None:
        """Report that the endpoint does not work; `retry_after_s` is what it asked for, `cause` a sentence."""

    async def record_load(self, endpoint: str, model: str, seconds: float) -> None:
        """Report that the endpoint loaded one of its models for a request, and how long that took."""


class EndpointWatch(Protocol):
    """Looks at the configured model servers again and again."""

    def names(self) -> frozenset[str]:
        """The names of the configured endpoints."""

    async def look(
        self,
        known: Mapping[str, EndpointSnapshot],
        hardware: Mapping[str, HostHardware],
        in_use: frozenset[str],
        now: datetime,
    ) -> tuple[EndpointSnapshot, ...]:
        """A snapshot of each endpoint; one that fails is a snapshot that says why.

        `known` are the snapshots of the last look, possibly another process's, `hardware` is that of each node. To
        endpoints `in_use` no test request is sent. Never raises for what a server does.
        """

    def close(self) -> None:
        """Give up what is under way."""


class HardwareReader(Protocol):
    """Reads the GPUs and the main memory of this host."""

    async def read(self) -> HostHardware:
        """The hardware as it is now."""
