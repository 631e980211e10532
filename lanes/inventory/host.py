"""The hardware of this host: the GPUs of every vendor, and the main memory."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import Protocol

from core.model.inventory import Gpu, HostHardware, Ram
from lanes.inventory.amd import AmdReader, amd_library
from lanes.inventory.nvml import NvmlReader, nvml_library


class GpuReader(Protocol):
    """Reads the GPUs of one vendor."""

    def read(self) -> tuple[tuple[Gpu, ...], str]:
        """The GPUs, and in one sentence why some could not be read."""


def gpu_readers() -> tuple[GpuReader, ...]:
    """A reader for each vendor whose bindings are installed here."""
    nvidia, amd = nvml_library(), amd_library()
    readers: list[GpuReader] = [NvmlReader(nvidia)] if nvidia is not None else []
    return (*readers, AmdReader(amd)) if amd is not None else tuple(readers)


@dataclass(frozen=True, slots=True)
class HostReader:
    """Reads the hardware of this host."""

    readers: tuple[GpuReader, ...] = field(default_factory=gpu_readers)

    async def read(self) -> HostHardware:
        """The hardware as it is now; drivers are asked in a thread."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> HostHardware:
        gpus: list[Gpu] = []
        problems: list[str] = []
        for reader in self.readers:
            found, problem = reader.read()
            gpus += found
            problems += [problem] if problem else []
        return HostHardware(tuple(gpus), main_memory(), "; ".join(problems))


def main_memory() -> Ram | None:
    """The main memory; None on a system that does not tell it this way."""
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        total, free = os.sysconf("SC_PHYS_PAGES") * page, os.sysconf("SC_AVPHYS_PAGES") * page
    except (AttributeError, ValueError, OSError):
        return None
    return Ram(total, max(free, _available_bytes() or 0))


def _available_bytes() -> int | None:
    """What Linux could give without swapping: free pages, and caches that it would drop (proc(5), MemAvailable)."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:  # noqa: PTH123 (read to a line, not whole)
            values = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    except OSError:
        return None
    return int(values[0]) * 1024 if values else None
