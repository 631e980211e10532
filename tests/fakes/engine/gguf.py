"""Files of the format GGUF, version 3, as llama.cpp reads them: facts, then tensors of 32-bit floats.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Final

_UINT32, _INT32, _FLOAT32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9
_ALIGNED: Final = 32

Single = bool | int | float | str
Fact = Single | Sequence[int] | Sequence[float] | Sequence[str]


@dataclass(frozen=True, slots=True)
class Tensor:
    """`rows` times `columns` numbers, row after row; a row is what one output is made of."""

    columns: int
    rows: int
    numbers: array[float]

    @classmethod
    def of(cls, columns: int, rows: int = 1, number: float = 0.0) -> Tensor:
        """One that is the same number everywhere."""
        return cls(columns, rows, array("f", [number]) * (columns * rows))


def write_gguf(file: Path, facts: Mapping[str, Fact], tensors: Mapping[str, Tensor]) -> None:
    """Write a model's file."""
    head = [b"GGUF", struct.pack("<IQQ", 3, len(tensors), len(facts))]
    head += [_text(name) + _fact(value) for name, value in facts.items()]
    bodies = [_padded(tensor.numbers.tobytes()) for tensor in tensors.values()]
    begins = accumulate(map(len, bodies), initial=0)
    for (name, tensor), begin in zip(tensors.items(), begins, strict=False):
        shape = [tensor.columns, tensor.rows][: 1 if tensor.rows == 1 else 2]
        head.append(_text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, begin))
    file.write_bytes(_padded(b"".join(head)) + b"".join(bodies))


def _fact(value: Fact) -> bytes:
    if isinstance(value, bool | int | float | str):
        kind, packed = _packed(value)
        return struct.pack("<I", kind) + packed
    kinds, each = zip(*map(_packed, value), strict=True)
    kind = _INT32 if kinds[0] == _UINT32 else kinds[0]  # alone a number has no sign, in a list it has: so it is read
    return struct.pack("<IIQ", _ARRAY, kind, len(each)) + b"".join(each)


def _packed(value: Single) -> tuple[int, bytes]:
    match value:
        case bool():
            return _BOOL, struct.pack("<?", value)
        case int():
            return _UINT32, struct.pack("<I", value)
        case float():
            return _FLOAT32, struct.pack("<f", value)
        case str():
            return _STRING, _text(value)


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _padded(raw: bytes) -> bytes:
    return raw + bytes(-len(raw) % _ALIGNED)
