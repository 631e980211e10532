"""How much memory a loaded model takes: an estimate from its file and its shape.

`core.model.family_figures.MemoryCorrection` corrects it by what was observed.

The memory of a load is its weights, its KV cache, and the buffers of the computation. The KV cache holds, for every
token of the context and every request that is worked on at once, a key and a value for each KV head of each layer: see
https://github.com/ggml-org/llama.cpp/blob/master/src/llama-kv-cache.cpp and `fs/ggml/ggml.go` of
https://github.com/ollama/ollama. The names of the shape's fields are those of GGUF's metadata:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from core.model.inventory import LoadOptions

KV_BYTES: Final = 2.0
"""Bytes of one number of the KV cache: f16, the default of Ollama and llama.cpp."""
DEFAULT_CONTEXT_TOKENS: Final = 4096
_OVERHEAD_BYTES: Final = 384 * 1024**2
_OVERHEAD_SHARE: Final = 0.03
"""The buffers of the computation: the context of the driver, and a share of the weights."""

_BITS: Final = {
    "F32": 32.0,
    "F16": 16.0,
    "BF16": 16.0,
    "FP8": 8.0,
    "MXFP4": 4.25,
    "AWQ": 4.5,
    "GPTQ": 4.5,
    "Q8": 8.5,
    "Q6": 6.6,
    "Q5": 5.7,
    "Q4": 4.85,
    "Q3": 3.9,
    "Q2": 3.0,
    "IQ4": 4.3,
    "IQ3": 3.5,
    "IQ2": 2.6,
    "IQ1": 1.8,
}
"""Bits of a weight by the beginning of the quantisation's name, medium variants: `llama-quantize --help`."""
_PARAMETERS: Final = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)\s?([KMBT]?)", re.IGNORECASE)
_SCALE: Final = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}


@dataclass(frozen=True, slots=True)
class ModelShape:
    """What the memory of a model depends on, as far as its server tells; 0 where it does not.

    `kv_heads` is their number in all layers together; `key_length` and `value_length` are the sizes of one head.
    """

    weights_bytes: int
    layers: int = 0
    kv_heads: int = 0
    key_length: int = 0
    value_length: int = 0


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """The parts of a load's memory in bytes."""

    weights_bytes: int
    kv_cache_bytes: int
    overhead_bytes: int

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.weights_bytes + self.kv_cache_bytes + self.overhead_bytes


def weights_bytes(file_bytes: int | None, parameters: str = "", quantization: str = "") -> int:
    """The size of the weights: that of their file, else computed from ``8.2B`` and ``Q4_K_M``; 0 if unknown."""
    if file_bytes:
        return file_bytes
    match = _PARAMETERS.fullmatch(parameters.strip())
    if match is None:
        return 0
    bits = next(
        (_BITS[prefix] for prefix in sorted(_BITS, key=len, reverse=True) if quantization.upper().startswith(prefix)),
        16.0,
    )
    return round(float(match[1]) * _SCALE[match[2].upper()] * bits / 8)


def estimate_memory(shape: ModelShape, options: LoadOptions, *, kv_bytes: float = KV_BYTES) -> MemoryEstimate:
    """The memory of a load with these options; without a context it is the default of Ollama."""
    tokens = (options.context_tokens or DEFAULT_CONTEXT_TOKENS) * (options.parallel or 1)
    kv_cache = shape.kv_heads * (shape.key_length + shape.value_length) * tokens * kv_bytes
    overhead = _OVERHEAD_BYTES + shape.weights_bytes * _OVERHEAD_SHARE
    return MemoryEstimate(shape.weights_bytes, round(kv_cache), round(overhead))
