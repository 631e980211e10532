"""Traces: the requests that a simulation replays, read from Countersign's own CSV, Azure's and Mooncake's formats."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from core.model.errors import UsageError
from core.scheduler.demand import WorkClass

COLUMNS = ("arrival_s", "model", "prompt_tokens", "output_tokens", "tenant", "class", "deadline_s")
"""The columns of Countersign's own CSV; those after the fourth may be left out."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a trace; `model` is empty where the trace names none. `deadline_s` is seconds from the start."""

    arrival_s: float
    model: str
    prompt_tokens: int
    output_tokens: int
    tenant: str = ""
    work_class: WorkClass = WorkClass.CHAT
    deadline_s: float | None = None


def read_trace(path: Path) -> list[Request]:
    """Read a trace, gzipped or not, in the order of arrival; the first arrival is at 0 s.

    Known are CSV with `COLUMNS`, Azure's LLM inference traces (TIMESTAMP, ContextTokens, GeneratedTokens;
    https://github.com/Azure/AzurePublicDataset) and Mooncake's JSON lines (https://github.com/kvcache-ai/Mooncake).

    Raises:
        UsageError: The file cannot be read, or a line is not of its format; the message names the line.
    """
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError, gzip.BadGzipFile) as error:
        raise UsageError("no_trace", f"{path} cannot be read: {error}", "Name a trace as CSV or JSON lines.") from None
    reader = _json_lines if text.lstrip().startswith("{") else _csv
    requests = sorted(reader(text, path.name), key=lambda request: request.arrival_s)
    if not requests:
        raise UsageError("empty_trace", f"{path.name} has no requests", "Name a trace with at least one request.")
    first_s = requests[0].arrival_s
    return [_moved(request, -first_s) for request in requests]


def write_trace(requests: Iterable[Request]) -> str:
    """The trace as Countersign's own CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for each in requests:
        deadline = "" if each.deadline_s is None else f"{each.deadline_s:.3f}"
        writer.writerow(
            (
                f"{each.arrival_s:.3f}",
                each.model,
                each.prompt_tokens,
                each.output_tokens,
                each.tenant,
                each.work_class,
                deadline,
            )
        )
    return out.getvalue()


def _moved(request: Request, by_s: float) -> Request:
    deadline_s = None if request.deadline_s is None else request.deadline_s + by_s
    return Request(
        request.arrival_s + by_s,
        request.model,
        request.prompt_tokens,
        request.output_tokens,
        request.tenant,
        request.work_class,
        deadline_s,
    )


def _csv(text: str, name: str) -> Iterator[Request]:
    rows = csv.DictReader(io.StringIO(text))
    header = rows.fieldnames or ()
    if set(COLUMNS[:4]) <= set(header):
        convert = _own_row
    elif {"TIMESTAMP", "ContextTokens", "GeneratedTokens"} <= set(header):
        convert = _azure_row
    else:
        raise UsageError(
            "bad_trace", f"{name}:1 has not the columns of a trace", f"The first line must be {','.join(COLUMNS)}."
        )
    for row in rows:
        yield _converted(convert, row, name, rows.line_num)


def _json_lines(text: str, name: str) -> Iterator[Request]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield _converted(_mooncake_row, line, name, number)


def _converted(convert: Any, row: Any, name: str, line: int) -> Request:
    try:
        request: Request = convert(row)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UsageError("bad_trace", f"{name}:{line} is not a request: {error}", "Correct the line.") from None
    if not math.isfinite(request.arrival_s) or request.prompt_tokens < 0 or request.output_tokens < 0:
        raise UsageError("bad_trace", f"{name}:{line} has a figure below 0", "Correct the line.")
    if request.deadline_s is not None and not math.isfinite(request.deadline_s):
        raise UsageError("bad_trace", f"{name}:{line} has a deadline that is not a number", "Correct the line.")
    return request


def _own_row(row: dict[str, str]) -> Request:
    deadline = row.get("deadline_s") or ""
    return Request(
        float(row["arrival_s"]),
        row["model"].strip(),
        int(row["prompt_tokens"]),
        int(row["output_tokens"]),
        (row.get("tenant") or "").strip(),
        WorkClass((row.get("class") or "chat").strip()),
        float(deadline) if deadline.strip() else None,
    )


def _azure_row(row: dict[str, str]) -> Request:
    at = datetime.fromisoformat(row["TIMESTAMP"][:26]).timestamp()
    return Request(at, "", int(row["ContextTokens"]), int(row["GeneratedTokens"]))


def _mooncake_row(line: str) -> Request:
    row = json.loads(line)
    return Request(float(row["timestamp"]) / 1000.0, "", int(row["input_length"]), int(row["output_length"]))
