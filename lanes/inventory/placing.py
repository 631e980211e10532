"""Which GPUs and which main memory belong to an endpoint, and how much of them is free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from core.model.endpoint_snapshot import ResidentModel
from core.model.inventory import Gpu, HostHardware, Ram
from lanes.models.endpoint import Endpoint

_MIB: Final = 1024**2


def gpus_of(
    endpoint: Endpoint, residents: Sequence[ResidentModel], hardware: Mapping[str, HostHardware], here: str
) -> tuple[Gpu, ...]:
    """The endpoint's GPUs: the configured memory, else those of its node as that measured them.

    `hardware` is that of each node, `here` the node that asks.
    """
    reserve = endpoint.reserve_mib * _MIB
    if endpoint.gpu_memory_mib:
        return _configured(endpoint.gpu_memory_mib, residents, reserve)
    measured = hardware.get(_node_of(endpoint, here) or "")
    if measured is None:
        return ()
    chosen = endpoint.gpus or range(len(measured.gpus))
    return tuple(replace(measured.gpus[index], reserve_bytes=reserve) for index in chosen if index < len(measured.gpus))


def ram_of(
    endpoint: Endpoint, residents: Sequence[ResidentModel], hardware: Mapping[str, HostHardware], here: str
) -> Ram | None:
    """The main memory that the endpoint's models may take; None if it is not known."""
    if endpoint.ram_mib is not None:
        total = endpoint.ram_mib * _MIB
        return Ram(total, max(0, total - sum(resident.ram_bytes or 0 for resident in residents)))
    measured = hardware.get(_node_of(endpoint, here) or "")
    return measured.ram if measured is not None else None


def _node_of(endpoint: Endpoint, here: str) -> str | None:
    """The node whose hardware the endpoint has; an address of the loopback is of the node that asks."""
    if endpoint.node is not None:
        return endpoint.node
    host = urlsplit(endpoint.url).hostname or ""
    return here if host == "localhost" or host.startswith("127.") or host == "::1" else None


def _configured(sizes_mib: Sequence[int], residents: Sequence[ResidentModel], reserve: int) -> tuple[Gpu, ...]:
    """GPUs that no driver measures: what the endpoint's models take is counted from the first GPU on."""
    taken = sum(resident.vram_bytes or 0 for resident in residents)
    gpus = []
    for index, size_mib in enumerate(sizes_mib):
        total = size_mib * _MIB
        used = min(total, taken)
        taken -= used
        gpus.append(Gpu(f"gpu{index}", "", total, total - used, reserve, is_measured=False))
    return tuple(gpus)
