"""The memory of model servers as bars: what each model takes, what other programs have, and what is free."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from string import ascii_uppercase
from typing import Any, Final, NamedTuple

from bot.cards.inventory import gib
from bot.cards.safe import one_line
from bot.surfaces.terminal.profile import ACCENT, Item, TerminalProfile

_Row = Mapping[str, Any]

_COLOURS: Final = ("green", "blue", "magenta", "cyan", "bright_green", "bright_blue")
_FREE, _FOREIGN, _LOADING = ".", "~", "+"
_STATES: Final = {"up": "green", "draining": "yellow"}


class _Part(NamedTuple):
    """One part of a bar: the character it is drawn with, its bytes and its style."""

    mark: str
    size_bytes: int
    style: str


def gpu_items(
    profile: TerminalProfile, rows: Sequence[_Row], loading: Mapping[str, str], in_use: Collection[str]
) -> list[Item]:
    """Each endpoint (the rows of ``endpoints --json``) with a bar of its memory and a legend.

    `loading` is the model that each endpoint loads, `in_use` are the models that work now, both as ``endpoint/model``.
    """
    return [item for row in rows for item in _endpoint(profile, row, loading.get(row["name"], ""), in_use)]


def _endpoint(profile: TerminalProfile, row: _Row, loads: str, in_use: Collection[str]) -> list[Item]:
    style = _STATES.get(row["state"], "red")
    heading = [(one_line(row["name"], 30), f"bold {ACCENT}"), ("  ", ""), (row["state"], style)]
    if row["problem"]:
        heading.append((f"  {one_line(row['problem'], 80)}", "dim"))
    total = _total_bytes(row)
    if not total:
        return [profile.text(*heading)]
    model = loads.partition("/")[2]
    loading_bytes = next((each["needed_bytes"] or 0 for each in row["models"] if each["name"] == model), 0)
    parts, legend = _parts(row, total, loading_bytes, in_use)
    if model:
        legend.append((f"{_LOADING} loading {one_line(model, 40)}", "yellow"))
    bar = [(part.mark * cells, part.style) for part, cells in _cells(parts, total, profile.width - 4)]
    facts = [part for n, fact in enumerate(legend) for part in ([("  ", ""), fact] if n else [fact])]
    from rich.padding import Padding

    return [
        profile.text(*heading),
        profile.text(("[", "dim"), *bar, ("]", "dim")),
        Padding(profile.text(*facts), (0, 0, 0, 2)),
    ]


def _total_bytes(row: _Row) -> int:
    if row["gpus"]:
        return sum(int(gpu["total_bytes"] or 0) for gpu in row["gpus"])
    return int(row["ram"]["total_bytes"] or 0) if row["ram"] else 0


def _parts(
    row: _Row, total: int, loading_bytes: int, in_use: Collection[str]
) -> tuple[list[_Part], list[tuple[str, str]]]:
    """The parts of an endpoint's memory, and what to say of each."""
    parts: list[_Part] = []
    legend: list[tuple[str, str]] = []
    on_gpu = bool(row["gpus"])
    for number, resident in enumerate(row["residents"]):
        mark, style = ascii_uppercase[number % 26], _COLOURS[number % len(_COLOURS)]
        size = int(resident["vram_bytes" if on_gpu else "ram_bytes"] or 0)
        parts.append(_Part(mark, size, style))
        busy = ", busy" if f"{row['name']}/{resident['name']}" in in_use or resident["is_busy"] else ""
        level = "" if resident["level"] == "awake" else f", {resident['level']}"
        legend.append((f"{mark} {one_line(resident['name'], 40)} {gib(size)}{level}{busy}", style))
    foreign = int(row["foreign_bytes"])
    if foreign:
        parts.append(_Part(_FOREIGN, foreign, "red"))
        legend.append((f"{_FOREIGN} other programs {gib(foreign)}", "red"))
    free = max(0, total - sum(part.size_bytes for part in parts))
    loading = min(free, loading_bytes)
    parts += [_Part(_LOADING, loading, "yellow"), _Part(_FREE, free - loading, "dim")]
    legend.append((f"{_FREE} free {gib(free - loading)}", "dim"))
    return parts, legend


def _cells(parts: Sequence[_Part], total: int, width: int) -> list[tuple[_Part, int]]:
    """How many of `width` cells each part gets: all of them together, and at least one each for what is there."""
    ends, done, cells = 0, 0, []
    whole = max(total, sum(part.size_bytes for part in parts))
    for part in parts:
        done += part.size_bytes
        end = max(round(width * done / whole), ends + bool(part.size_bytes))
        cells.append((part, min(width, end) - ends))
        ends = min(width, end)
    return cells
