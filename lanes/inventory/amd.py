"""AMD's GPUs of this host, read by AMD SMI where its library is installed; ROCm brings it.

See https://rocm.docs.amd.com/projects/amdsmi/en/latest/reference/amdsmi-py-api.html. It reports memory in MiB.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from core.model.inventory import Gpu, GpuProcess

_MIB = 1024**2
_MAX_PROCESSES = 50


def amd_library() -> Any | None:
    """AMD SMI's bindings; None where they are not installed or cannot load their library."""
    try:
        return importlib.import_module("amdsmi")
    except (ImportError, OSError, KeyError):  # KeyError: ROCM_PATH is not set
        return None


@dataclass(slots=True)
class AmdReader:
    """Reads the GPUs with AMD SMI's bindings."""

    library: Any
    _is_ready: bool = False

    def read(self) -> tuple[tuple[Gpu, ...], str]:
        """The GPUs, and in one sentence why they could not be read; blocks, so run it in a thread."""
        amd = self.library
        try:
            if not self._is_ready:
                amd.amdsmi_init()
                self._is_ready = True
            return tuple(self._gpu(handle) for handle in amd.amdsmi_get_processor_handles()), ""
        except amd.AmdSmiException as error:
            self._is_ready = False
            return (), f"AMD's driver does not answer: {error}"

    def _gpu(self, handle: Any) -> Gpu:
        amd = self.library
        memory = amd.amdsmi_get_gpu_vram_usage(handle)
        total, used = int(memory["vram_total"]) * _MIB, int(memory["vram_used"]) * _MIB
        return Gpu(
            id=str(amd.amdsmi_get_gpu_device_uuid(handle)),
            name=str(amd.amdsmi_get_gpu_asic_info(handle)["market_name"]),
            total_bytes=total,
            free_bytes=max(0, total - used),
            processes=self._processes(handle),
        )

    def _processes(self, handle: Any) -> tuple[GpuProcess, ...]:
        try:
            listed = self.library.amdsmi_get_gpu_process_list(handle)
        except self.library.AmdSmiException:
            return ()
        processes = [GpuProcess(int(one["pid"]), str(one["name"])[:60], int(one["mem"])) for one in listed]
        return tuple(sorted(processes, key=lambda process: process.pid)[:_MAX_PROCESSES])
