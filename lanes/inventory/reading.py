"""What a probe reads of a server, and the interface that the probes share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from core.model.endpoint_snapshot import KnownModel, ResidentModel


@dataclass(frozen=True, slots=True)
class EndpointReading:
    """What a server says: its program and version, what it has loaded and can load, and how busy it is.

    `max_resident` and `wakes_models` are those of `EndpointSnapshot`. `has_canary` is False for a server that may
    charge for a request, or of which nothing but its list is known.
    """

    server: str
    residents: tuple[ResidentModel, ...] = ()
    models: tuple[KnownModel, ...] = ()
    slots: int | None = None
    running: int | None = None
    waiting: int | None = None
    max_resident: int | None = None
    wakes_models: bool = True
    has_canary: bool = True


class EndpointProbe(Protocol):
    """Reads one server again and again."""

    async def read(self, limit_s: float) -> EndpointReading:
        """What the server says now; each request is answered within `limit_s`.

        Raises:
            TransientError: It does not answer now.
            PermanentError: It refuses, or what it answers is not of its protocol.
        """
