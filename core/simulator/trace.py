"""Traces: the requests that a simulation replays, read from Countersign's own CSV, Azure's and Mooncake's formats."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from core.model.errors import UsageError
from core.scheduler.demand import WorkClass

COLUMNS: Final = ("arrival_s", "model", "prompt_tokens", "output_tokens", "tenant", "class", "deadline_s")
"""The columns of Countersign's own CSV; those after the fourth may be left out."""
OBSERVED: Final = ("lane", "work_s", "start_s", "finish_s")
"""More columns of a trace that was observed: what took how long, and when it started and finished."""
_REQUIRED: Final = COLUMNS[:4]
_MOST_TOKENS: Final = 10**9
_MOST_S: Final = 1e10


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a trace; `model` is empty where the trace names none. Times are seconds from the trace's start.

    `work_s` is what it took an endpoint, where that was measured; else the tokens and the model's rates give it.
    `start_s` and `finish_s` say when it really started and finished, in a trace of what happened.
    """

    arrival_s: float
    model: str
    prompt_tokens: int
    output_tokens: int
    tenant: str = ""
    work_class: WorkClass = WorkClass.CHAT
    deadline_s: float | None = None
    lane: str = ""
    work_s: float | None = None
    start_s: float | None = None
    finish_s: float | None = None

    def moved(self, by_s: float) -> Request:
        """The same request, with all its times later by `by_s` seconds."""
        return replace(
            self,
            arrival_s=self.arrival_s + by_s,
            deadline_s=_plus(self.deadline_s, by_s),
            start_s=_plus(self.start_s, by_s),
            finish_s=_plus(self.finish_s, by_s),
        )


def _plus(at_s: float | None, by_s: float) -> float | None:
    return None if at_s is None else at_s + by_s


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
    except UnicodeDecodeError:
        raise _unreadable(path, "it is not UTF-8 text") from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise _unreadable(path, "its gzip data is damaged") from None
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from None
    return parse_trace(text, path.name)


def parse_trace(text: str, name: str) -> list[Request]:
    """The requests of a trace's text in the order of arrival; `name` is what errors call it. See `read_trace`."""
    reader = _json_lines if text.lstrip().startswith("{") else _csv
    requests = sorted(reader(text, name), key=lambda request: request.arrival_s)
    if not requests:
        raise UsageError("empty_trace", f"{name} has no requests", "Name a trace with at least one request.")
    first_s = requests[0].arrival_s
    return [request.moved(-first_s) for request in requests]


def write_trace(requests: Iterable[Request]) -> str:
    """The trace as Countersign's own CSV, with the columns of `OBSERVED` where a request has them."""
    requests = list(requests)
    observed = any(each.lane or {each.work_s, each.start_s, each.finish_s} != {None} for each in requests)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS + OBSERVED if observed else COLUMNS)
    for each in requests:
        row = [_seconds(each.arrival_s), each.model, each.prompt_tokens, each.output_tokens, each.tenant]
        row += [each.work_class.value, _seconds(each.deadline_s)]
        if observed:
            row += [each.lane, *map(_seconds, (each.work_s, each.start_s, each.finish_s))]
        writer.writerow(row)
    return out.getvalue()


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _unreadable(path: Path, why: str) -> UsageError:
    return UsageError("no_trace", f"{path} cannot be read: {why}", "Name a trace as CSV or JSON lines.")


def _csv(text: str, name: str) -> Iterator[Request]:
    rows = csv.DictReader(io.StringIO(text))
    try:
        header = set(rows.fieldnames or ())
        if header >= set(_REQUIRED):
            convert = _own_row
        elif header >= {"TIMESTAMP", "ContextTokens", "GeneratedTokens"}:
            convert = _azure_row
        else:
            message = f"{name}:1 does not have the columns of a trace"
            raise UsageError("bad_trace", message, f"The first line must be {','.join(COLUMNS)}.")
        for row in rows:
            yield _converted(convert, row, name, rows.line_num)
    except csv.Error as error:
        raise _bad_line(name, rows.line_num + 1, f"is not CSV: {error}") from None


def _json_lines(text: str, name: str) -> Iterator[Request]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield _converted(_mooncake_row, line, name, number)


def _converted(convert: Callable[[Any], Request], row: Any, name: str, line: int) -> Request:
    try:
        return convert(row)
    except _FieldError as error:
        raise _bad_line(name, line, str(error)) from None


def _bad_line(name: str, line: int, what: str) -> UsageError:
    return UsageError("bad_trace", f"{name}:{line} {what}", "Correct the line.")


class _FieldError(Exception):
    """A field of a line is not what it must be; the text completes "file:line …"."""


def _own_row(row: dict[str, str | None]) -> Request:
    return Request(
        arrival_s=_number(row, "arrival_s", negative=True),
        model=(row["model"] or "").strip(),
        prompt_tokens=_tokens(row, "prompt_tokens"),
        output_tokens=_tokens(row, "output_tokens"),
        tenant=(row.get("tenant") or "").strip(),
        work_class=_class_of(row.get("class")),
        deadline_s=_optional(row, "deadline_s", negative=True),
        lane=(row.get("lane") or "").strip(),
        work_s=_optional(row, "work_s"),
        start_s=_optional(row, "start_s", negative=True),
        finish_s=_optional(row, "finish_s", negative=True),
    )


def _class_of(text: str | None) -> WorkClass:
    name = (text or "").strip() or WorkClass.CHAT.value
    if name not in (known := [each.value for each in WorkClass]):
        raise _FieldError(f"has the class {_quoted(name)}; known: {', '.join(known)}")
    return WorkClass(name)


def _azure_row(row: dict[str, str | None]) -> Request:
    try:
        at_s = datetime.fromisoformat((row["TIMESTAMP"] or "")[:26]).timestamp()
    except (ValueError, OverflowError, OSError):
        raise _FieldError("has a TIMESTAMP that is not a time") from None
    return Request(at_s, "", _tokens(row, "ContextTokens"), _tokens(row, "GeneratedTokens"))


def _mooncake_row(line: str) -> Request:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise _FieldError("is not JSON") from None
    if not isinstance(row, dict):
        raise _FieldError("is not a JSON object")
    at_s = _number(row, "timestamp", negative=True) / 1000.0
    return Request(at_s, "", _tokens(row, "input_length"), _tokens(row, "output_length"))


def _optional(row: Mapping[str, Any], column: str, *, negative: bool = False) -> float | None:
    return _number(row, column, negative=negative) if str(row.get(column) or "").strip() else None


def _tokens(row: Mapping[str, Any], column: str) -> int:
    number = _number(row, column)
    if number != int(number) or number > _MOST_TOKENS:
        raise _FieldError(f"has {_quoted(row[column])} for {column}; write a whole number of tokens")
    return int(number)


def _number(row: Mapping[str, Any], column: str, *, negative: bool = False) -> float:
    value = row.get(column)
    if value is None or isinstance(value, bool) or not str(value).strip():
        raise _FieldError(f"has no {column}")
    try:
        number = float(value)
    except (ValueError, TypeError, OverflowError):
        raise _FieldError(f"has {_quoted(value)} for {column}; write a number") from None
    if not abs(number) <= _MOST_S:
        raise _FieldError(f"has {_quoted(value)} for {column}; write a number below {_MOST_S:.0e}")
    if number < 0 and not negative:
        raise _FieldError(f"has {_quoted(value)} for {column}; write 0 or more")
    return number


def _quoted(value: object) -> str:
    """A value as it is quoted in a message, at most 40 characters."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:36]}...{text[-1]}"
