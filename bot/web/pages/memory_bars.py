"""Memory as bars: which models, other programs, reserve and free memory fill the GPUs of an endpoint or a node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from bot.cards.inventory import gib
from bot.cards.safe import one_line
from bot.web.graphics.strip import Span, strip
from bot.web.graphics.svg import COLOURS

_MAX_PARTS: Final = 12


@dataclass(frozen=True, slots=True)
class MemoryPart:
    """A part of a memory: its class, what has it, and how much in bytes."""

    kind: str
    name: str
    size: int

    @property
    def words(self) -> str:
        """The part in words."""
        return f"{self.name}: {gib(self.size)}"


@dataclass(frozen=True, slots=True)
class MemoryBar:
    """A bar of one memory, with its parts for a legend that is also its table."""

    label: str
    total: str
    bar: Markup
    parts: Sequence[MemoryPart]


def endpoint_bars(row: Mapping[str, Any]) -> list[MemoryBar]:
    """One bar of all GPUs by resident model, and one of each GPU where there are several."""
    gpus = [gpu for gpu in row["gpus"] if gpu["total_bytes"]]
    if not gpus:
        return list(_host_bars(row))
    total = sum(gpu["total_bytes"] for gpu in gpus)
    free = sum(gpu["free_bytes"] or 0 for gpu in gpus)
    reserve = sum(min(gpu["reserve_bytes"] or 0, gpu["free_bytes"] or 0) for gpu in gpus)
    held = [resident for resident in row["residents"] if resident["vram_bytes"]]
    parts = [
        MemoryPart(f"p{index % COLOURS}", one_line(resident["name"], 40), resident["vram_bytes"])
        for index, resident in enumerate(held[:_MAX_PARTS])
    ]
    foreign = max(0, total - free - sum(part.size for part in parts))
    label = f"{len(gpus)} GPUs" if len(gpus) > 1 else one_line(f"GPU 0 {gpus[0]['name'] or ''}".strip(), 40)
    whole = _bar(label, total, [*parts, *_rest(foreign, reserve, free)])
    return [whole, *(_gpu_bar(n, gpu) for n, gpu in enumerate(gpus))] if len(gpus) > 1 else [whole]


def node_bars(row: Mapping[str, Any]) -> list[MemoryBar]:
    """One bar of each GPU by process, or one of the main memory of a host without."""
    bars = [_gpu_bar(n, gpu) for n, gpu in enumerate(row["gpus"]) if gpu["total_bytes"]]
    return bars or list(_host_bars(row))


def _gpu_bar(number: int, gpu: Mapping[str, Any]) -> MemoryBar:
    processes = sorted((p for p in gpu["processes"] if p["used_bytes"]), key=lambda one: -int(one["used_bytes"]))
    parts = [
        MemoryPart(f"p{index % COLOURS}", f"{one_line(p['name'], 30) or 'a process'} (pid {p['pid']})", p["used_bytes"])
        for index, p in enumerate(processes[:_MAX_PARTS])
    ]
    free, reserve = gpu["free_bytes"] or 0, min(gpu["reserve_bytes"] or 0, gpu["free_bytes"] or 0)
    foreign = max(0, gpu["total_bytes"] - free - sum(part.size for part in parts))
    label = one_line(f"GPU {number} {gpu['name'] or ''}".strip(), 40)
    return _bar(label, gpu["total_bytes"], [*parts, *_rest(foreign, reserve, free)])


def _host_bars(row: Mapping[str, Any]) -> Iterator[MemoryBar]:
    ram = row["ram"]
    if ram and ram["total_bytes"] and ram["free_bytes"] is not None:
        used = ram["total_bytes"] - ram["free_bytes"]
        yield _bar("Main memory", ram["total_bytes"], [MemoryPart("p5", "used", used), *_rest(0, 0, ram["free_bytes"])])


def _rest(foreign: int, reserve: int, free: int) -> list[MemoryPart]:
    parts = [
        MemoryPart("p5", "other programs", foreign),
        MemoryPart("reserve", "reserved", reserve),
        MemoryPart("room", "free", free - reserve),
    ]
    return [part for part in parts if part.size > 0]


def _bar(label: str, total: int, parts: Sequence[MemoryPart]) -> MemoryBar:
    spans, at = [], 0
    for part in parts:
        spans.append(Span(min(1.0, at / total), min(1.0, (at + part.size) / total), part.kind, part.words))
        at += part.size
    words = ", ".join(part.words for part in parts)
    return MemoryBar(label, gib(total), strip(spans, f"{label}, {gib(total)}: {words}", 22), parts)
