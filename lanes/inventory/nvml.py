"""NVIDIA's GPUs of this host, read by NVML: memory as the driver sees it, and the processes that have some of it.

See https://docs.nvidia.com/deploy/nvml-api/. The library comes with the driver; `pynvml` (PyPI nvidia-ml-py) binds it.
"""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from typing import Any

from core.model.inventory import Gpu, GpuProcess

_MAX_PROCESSES = 50


def nvml_library() -> Any | None:
    """NVML's bindings; None on a Linux without NVIDIA's driver, where they would only take memory."""
    if sys.platform == "linux":
        try:
            ctypes.CDLL("libnvidia-ml.so.1")
        except OSError:
            return None
    import pynvml  # noqa: PLC0415 - only a process that reads GPUs needs it

    return pynvml


@dataclass(slots=True)
class NvmlReader:
    """Reads the GPUs; NVML is initialised once, which may take seconds without NVIDIA's persistence mode."""

    library: Any
    _is_ready: bool = False

    def read(self) -> tuple[tuple[Gpu, ...], str]:
        """The GPUs, and in one sentence why some could not be read; blocks, so run it in a thread."""
        nvml = self.library
        try:
            if not self._is_ready:
                nvml.nvmlInit()
                self._is_ready = True
            count = nvml.nvmlDeviceGetCount()
        except nvml.NVMLError_LibraryNotFound:
            return (), ""
        except nvml.NVMLError as error:
            self._is_ready = False  # the driver may have been replaced meanwhile
            return (), f"NVIDIA's driver does not answer: {error}"
        gpus: list[Gpu] = []
        problem = ""
        for index in range(count):
            try:
                gpus.append(self._gpu(index))
            except nvml.NVMLError as error:
                problem = f"GPU {index} cannot be read: {error}"
        return tuple(gpus), problem

    def _gpu(self, index: int) -> Gpu:
        nvml = self.library
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        return Gpu(
            id=_text(nvml.nvmlDeviceGetUUID(handle)),
            name=_text(nvml.nvmlDeviceGetName(handle)),
            total_bytes=int(memory.total),
            free_bytes=int(memory.free),
            processes=self._processes(handle),
        )

    def _processes(self, handle: Any) -> tuple[GpuProcess, ...]:
        """The processes with memory of a GPU; none where the driver does not tell, as in a container."""
        nvml = self.library
        processes: dict[int, GpuProcess] = {}
        for read in (nvml.nvmlDeviceGetComputeRunningProcesses, nvml.nvmlDeviceGetGraphicsRunningProcesses):
            try:
                listed = read(handle)
            except nvml.NVMLError:
                continue
            for process in listed[:_MAX_PROCESSES]:
                name = self._name(process.pid)
                processes[process.pid] = GpuProcess(process.pid, name, process.usedGpuMemory)
        return tuple(processes[pid] for pid in sorted(processes))

    def _name(self, pid: int) -> str:
        try:
            path = _text(self.library.nvmlSystemGetProcessName(pid))
        except self.library.NVMLError:
            return ""
        return path.split(" ")[0].rsplit("/", 1)[-1][:60]


def _text(value: str | bytes) -> str:
    """Older releases of the bindings return bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
