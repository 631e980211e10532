"""What a load is expected to take before one of the same family was seen; queue and simulator share it."""

from __future__ import annotations

from typing import Final

_START_S: Final = 3.0
"""What a load takes beside reading the weights: starting the runner and warming up."""
_DISK_MIB_S: Final = 1200.0
"""How fast a local NVMe disk gives the weights."""


def expected_load_s(memory_mib: float) -> float:
    """The seconds that loading this much is expected to take."""
    return _START_S + memory_mib / _DISK_MIB_S
