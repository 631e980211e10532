"""The GPUs of this host, read with stand-ins of the vendors' libraries, and with NVML itself where it is."""

from __future__ import annotations

from types import SimpleNamespace

import pynvml
import pytest

from core.model.inventory import Gpu, GpuProcess
from lanes.inventory.amd import AmdReader
from lanes.inventory.host import HostReader, gpu_readers, main_memory
from lanes.inventory.nvml import NvmlReader, nvml_library

pytestmark = pytest.mark.queue
GIB = 1024**3


class Nvml:
    """NVML with two GPUs, of which the second fails; every name is one of `pynvml`."""

    NVMLError = pynvml.NVMLError
    NVMLError_LibraryNotFound = pynvml.NVMLError_LibraryNotFound

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure, self.inits = failure, 0

    def nvmlInit(self) -> None:  # noqa: N802 (NVML's name, here and below)
        self.inits += 1
        if self.failure is not None:
            raise self.failure

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        if index == 1:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return index

    def nvmlDeviceGetMemoryInfo(self, _handle: int) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(total=24 * GIB, free=9 * GIB, used=15 * GIB)

    def nvmlDeviceGetUUID(self, _handle: int) -> bytes:  # noqa: N802
        return b"GPU-5f3c"

    def nvmlDeviceGetName(self, _handle: int) -> str:  # noqa: N802
        return "NVIDIA GeForce RTX 4090"

    def nvmlDeviceGetComputeRunningProcesses(self, _handle: int) -> list[SimpleNamespace]:  # noqa: N802
        return [SimpleNamespace(pid=7, usedGpuMemory=10 * GIB), SimpleNamespace(pid=5, usedGpuMemory=None)]

    def nvmlDeviceGetGraphicsRunningProcesses(self, _handle: int) -> list[SimpleNamespace]:  # noqa: N802
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    def nvmlSystemGetProcessName(self, pid: int) -> str:  # noqa: N802
        if pid == 5:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return "/opt/somebody/else/train --secret x"


def test_the_stand_in_has_only_names_of_nvml():
    names = [name for name in vars(Nvml) if name.startswith(("nvml", "NVML"))]
    assert len(names) > 8
    assert [name for name in names if not hasattr(pynvml, name)] == []


def test_nvidia_gpus_are_read_with_foreign_processes_and_a_broken_one_is_named():
    (gpu,), problem = NvmlReader(Nvml()).read()
    processes = (GpuProcess(5, "", None), GpuProcess(7, "train", 10 * GIB))
    assert gpu == Gpu("GPU-5f3c", "NVIDIA GeForce RTX 4090", 24 * GIB, 9 * GIB, processes=processes)
    assert problem.startswith("GPU 1 cannot be read: ")


def test_nvml_is_initialised_once_and_again_after_a_failure():
    library = Nvml()
    reader = NvmlReader(library)
    reader.read(), reader.read()
    assert library.inits == 1
    broken = Nvml(pynvml.NVMLError(pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH))
    reader = NvmlReader(broken)
    for count in (1, 2):
        gpus, problem = reader.read()
        assert (gpus, broken.inits) == ((), count)
        assert problem.startswith("NVIDIA's driver does not answer")


def test_without_a_driver_there_are_no_gpus_and_nothing_is_wrong():
    missing = pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)
    assert NvmlReader(Nvml(missing)).read() == ((), "")


class AmdSmiException(Exception):  # noqa: N818 (AMD's name)
    """AMD SMI's base exception."""


def amd(**changes) -> SimpleNamespace:
    """AMD SMI with one GPU, as its documentation describes the answers."""
    functions = {
        "AmdSmiException": AmdSmiException,
        "amdsmi_init": lambda: None,
        "amdsmi_get_processor_handles": lambda: ["handle"],
        "amdsmi_get_gpu_vram_usage": lambda _handle: {"vram_total": 65_520, "vram_used": 20},
        "amdsmi_get_gpu_device_uuid": lambda _handle: "9cff74a0-0000-1000-80fe-9fcc0a83d4ab",
        "amdsmi_get_gpu_asic_info": lambda _handle: {"market_name": "AMD Instinct MI210"},
        "amdsmi_get_gpu_process_list": lambda _handle: [{"name": "rvs", "pid": 45_384, "mem": 4096}],
    }
    return SimpleNamespace(**{**functions, **changes})


def test_amd_gpus_are_read_and_a_driver_that_fails_is_named():
    (gpu,), problem = AmdReader(amd()).read()
    assert (gpu.name, gpu.total_bytes, gpu.free_bytes) == ("AMD Instinct MI210", 65_520 * 1024**2, 65_500 * 1024**2)
    assert (gpu.processes, problem) == ((GpuProcess(45_384, "rvs", 4096),), "")

    def fail() -> None:
        raise AmdSmiException("no permission")

    assert AmdReader(amd(amdsmi_init=fail)).read() == ((), "AMD's driver does not answer: no permission")


async def test_the_host_has_the_gpus_of_every_vendor_and_its_memory():
    hardware = await HostReader((NvmlReader(Nvml()), AmdReader(amd()))).read()
    assert [gpu.name for gpu in hardware.gpus] == ["NVIDIA GeForce RTX 4090", "AMD Instinct MI210"]
    assert "GPU 1" in hardware.problem


def test_only_the_readers_of_installed_drivers_are_built():
    kinds = {type(reader) for reader in gpu_readers()}
    assert (NvmlReader in kinds) is (nvml_library() is not None)


def test_the_main_memory_of_this_host_is_plausible():
    ram = main_memory()
    if ram is None:
        pytest.skip("this system does not tell its memory by sysconf")
    assert 0 < ram.free_bytes <= ram.total_bytes


def test_a_real_nvidia_gpu_is_read():
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        pytest.skip(f"no NVIDIA driver on this host ({error}); install one to run this")
    gpus, problem = NvmlReader(nvml_library()).read()
    assert gpus, problem
    for gpu in gpus:
        assert gpu.id.startswith("GPU-")
        assert 0 < gpu.free_bytes <= gpu.total_bytes
