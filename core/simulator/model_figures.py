"""The figures of models whose size is known or only assumed: how fast they load and answer on a common GPU."""

from __future__ import annotations

import re
from typing import Final

from core.scheduler.load_time import expected_load_s
from core.simulator.cluster import Model

_WEIGHTS: Final = re.compile(r"(?<![a-z0-9.])(\d{1,3}(?:\.\d{1,2})?)b(?![a-z0-9])")
_GB_A_BILLION: Final = 0.6
"""A quantisation of four bits with its scales, as Ollama's default `Q4_K_M` is."""
_CACHE_GB: Final = 1.0
_UNKNOWN_GB: Final = 8.0


def model_of_size(
    name: str,
    size_gb: float,
    *,
    load_s: float | None = None,
    wake_s: float | None = None,
    prompt_rate: float | None = None,
    output_rate: float | None = None,
) -> Model:
    """A model of this size on a GPU with 48 GB, but for what is given.

    Decoding reads all weights for each token, at about 700 GB/s; a load reads them from the disk at 1.2 GB/s.
    """
    size_mib = round(size_gb * 1024)
    return Model(
        name,
        size_mib,
        prompt_rate=prompt_rate if prompt_rate is not None else 30_000.0 / size_gb,
        output_rate=output_rate if output_rate is not None else 700.0 / (size_gb + 2.0),
        load_s=load_s if load_s is not None else expected_load_s(size_mib),
        wake_s=wake_s,
    )


def assumed_size_gb(name: str) -> float:
    """The size to assume of a model that no one described: from the billions of weights in its name, else 8 GB."""
    match = _WEIGHTS.search(name.lower())
    billions = float(match[1]) if match else 0.0
    return round(_GB_A_BILLION * billions + _CACHE_GB, 1) if billions else _UNKNOWN_GB
