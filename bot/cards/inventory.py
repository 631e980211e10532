"""Words for endpoints and nodes: short lines that fit a phone and a terminal, from the ``--json`` rows; pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from bot.cards.problem_text import capitalize
from bot.cards.safe import one_line
from bot.cards.times import ago, until

Row = Mapping[str, Any]

_GIB: Final = 1024**3
_MAX_RESIDENTS: Final = 12
_MAX_PROCESSES: Final = 5
_NOTABLE_BYTES: Final = 256 * 1024**2
"""Less memory of other programs is not worth a line: a desktop or the driver itself."""
_LEVELS: Final[Mapping[str, str]] = {"awake": "awake", "asleep": "asleep", "loading": "is loading"}


def gib(count: int | None) -> str:
    """A number of bytes as ``6.2 GiB``; a question mark when it is not known."""
    if count is None:
        return "? GiB"
    value = count / _GIB
    return f"{value:.0f} GiB" if value >= 99.95 else f"{value:.1f} GiB"


def endpoint_heading(row: Row) -> str:
    """The endpoint's name, its state and its program, such as ``local: up · Ollama 0.12.6``."""
    server = one_line(row["server"], 60) or row["kind"]
    return f"{row['name']}: {row['state']} · {server}"


def endpoint_lines(row: Row, now: datetime) -> list[str]:
    """What is wrong with an endpoint, its memory, what it has loaded, and how old that is."""
    lines = [_sentence(row["problem"])] if row["problem"] else []
    if row["drained"]:
        lines.append(_drain_line(row["drained"], now))
    if row["state"] == "unknown":
        return lines or ["Never looked at."]
    if row["state"] == "down":
        return [*lines, *_age_lines(row, now)]
    lines += memory_lines(row)
    if row["foreign_bytes"] >= _NOTABLE_BYTES:
        lines.append(f"{gib(row['foreign_bytes'])} used by other programs")
    lines += [_resident_line(resident, now) for resident in row["residents"][:_MAX_RESIDENTS]]
    if len(row["residents"]) > _MAX_RESIDENTS:
        lines.append(f"and {len(row['residents']) - _MAX_RESIDENTS} more")
    if not row["residents"]:
        lines.append("No model is in memory.")
    return [*lines, _models_line(row), *_age_lines(row, now)]


def memory_lines(row: Row) -> list[str]:
    """The GPUs of an endpoint or a node, or the main memory of one without."""
    lines = []
    for index, gpu in enumerate(row["gpus"]):
        name = f" {one_line(gpu['name'], 24)}" if gpu["name"] else ""
        line = f"GPU {index}{name}: {_free(gpu)}"
        lines.append(f"{line}, {gib(gpu['reserve_bytes'])} reserved" if gpu["reserve_bytes"] else line)
    if not lines and row["ram"]:
        lines.append(f"CPU only: {_free(row['ram'])}")
    return lines


def node_lines(row: Row, now: datetime) -> list[str]:
    """What a node offers, its workers, its memory, and the processes that have most of its GPUs' memory."""
    workers = row["workers"]
    if workers:
        count = "1 worker" if len(workers) == 1 else f"{len(workers)} workers"
        lines = [f"{count}, heard of {ago(row['heard_at'], now)}"]
    else:
        lines = ["No worker runs."]
    lines.append(f"Offers: {', '.join(row['offers']) or 'nothing special'}")
    if row["problem"]:
        lines.append(_sentence(row["problem"]))
    lines += memory_lines(row)
    processes = [process for gpu in row["gpus"] for process in gpu["processes"] if process["used_bytes"]]
    for process in sorted(processes, key=lambda one: -int(one["used_bytes"]))[:_MAX_PROCESSES]:
        name = one_line(process["name"], 40) or "a process"
        lines.append(f"{name} (pid {process['pid']}) has {gib(process['used_bytes'])}")
    return [*lines, f"(measured {ago(row['measured_at'], now)})"] if row["measured_at"] else lines


def _free(memory: Row) -> str:
    return f"{gib(memory['free_bytes']).removesuffix(' GiB')} of {gib(memory['total_bytes'])} free"


def _drain_line(drain: Row, now: datetime) -> str:
    by = f" by {drain['by']}" if drain["by"] else ""
    reason = f": {one_line(drain['reason'], 120)}" if drain["reason"] else ""
    return f"Drained {ago(drain['at'], now)}{by}{reason}"


def _resident_line(resident: Row, now: datetime) -> str:
    parts = [gib(resident["vram_bytes"])] if resident["vram_bytes"] else []
    if resident["ram_bytes"]:
        parts.append(f"{gib(resident['ram_bytes'])} in RAM")
    parts.append(_LEVELS[resident["level"]])
    if resident["is_busy"]:
        parts.append("busy")
    if resident["expires_at"]:
        parts.append(f"unloads {until(resident['expires_at'], now)}")
    return f"{one_line(resident['name'], 60)}: {', '.join(parts)}"


def _models_line(row: Row) -> str:
    count = len(row["models"])
    too_large = [one_line(model["name"], 60) for model in row["models"] if model["is_too_large"]]
    line = "1 model known" if count == 1 else f"{count} models known"
    return f"{line}; too large for it: {', '.join(too_large[:3])}" if too_large else line


def _age_lines(row: Row, now: datetime) -> list[str]:
    checked = f"looked at {ago(row['checked_at'], now)}"
    if row["seen_at"] == row["checked_at"]:
        return [f"({checked})"]
    return [f"({checked}, last answered {ago(row['seen_at'], now)})" if row["seen_at"] else f"({checked})"]


def _sentence(problem: str) -> str:
    line = one_line(problem, 240)
    return f"{capitalize(line)}{'' if line.endswith(('.', '!', '?')) else '.'}"
