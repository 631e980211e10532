"""Parses the untrusted output of programs: splits it into lines, and reads values from JSON events."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final

from core.log import redact
from lanes.agent_clis.adapter import AgentReport

_MAX_LINE_BYTES: Final = 16 * 1024 * 1024
_MAX_CHARS: Final = 20_000
# Control characters except newline and tab, bidirectional and invisible characters, tags, and undecodable bytes
_UNSAFE: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\ud800-\udfff\U000e0000-\U000e0fff]"
)


class StreamLines:
    """Splits output into lines as it arrives; drops lines that are too long."""

    def __init__(self, on_line: Callable[[bytes], None]) -> None:
        self._on_line = on_line
        self._rest = bytearray()
        self._is_dropping = False

    def add(self, chunk: bytes) -> None:
        """Add the next piece of output."""
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            self._rest += line
            if not self._is_dropping:
                self._on_line(bytes(self._rest).rstrip(b"\r"))
            self._rest.clear()
            self._is_dropping = False
        self._rest += rest
        if len(self._rest) > _MAX_LINE_BYTES:
            self._rest.clear()
            self._is_dropping = True

    def end(self) -> None:
        """Process the last line, which has no line ending."""
        if self._rest and not self._is_dropping:
            self._on_line(bytes(self._rest))
        self._rest.clear()


def sanitize(content: str, key: str | None) -> str:
    """Make text safe to store and show: without `key` and other secrets, with unsafe characters escaped."""
    if key:
        content = content.replace(key, "[key]")
    # JSON's escapes, so that a JSON event stays valid
    return _UNSAFE.sub(lambda match: json.dumps(match[0])[1:-1], redact(content))


def parse_event(line: bytes) -> dict[str, Any] | None:
    """The JSON object in a line, None if it holds anything else."""
    if not line.startswith(b"{"):
        return None
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


class EventStreamParser(ABC):
    """Parses JSON lines; subclasses interpret each event in `apply`."""

    def __init__(self, *, succeeded: bool | None = False) -> None:
        self._report = AgentReport(succeeded=succeeded)

    def feed(self, line: bytes) -> None:
        """See `EventParser.feed`; lines that are not JSON objects are ignored."""
        if (values := parse_event(line)) is not None:
            self.apply(values, self._report)

    @abstractmethod
    def apply(self, event: dict[str, Any], report: AgentReport) -> None:
        """Record in `report` what one event reports."""

    def report(self) -> AgentReport:
        """See `EventParser.report`."""
        return self._report


def text(value: object) -> str:
    """`value` cut to a bounded length, empty if it is not text."""
    return value[:_MAX_CHARS] if isinstance(value, str) else ""


def value_at(value: object, *keys: str) -> Any:
    """The value at the path `keys`, None if there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def list_at(value: object, *keys: str) -> list[Any]:
    """The list at the path `keys`, empty if there is none."""
    items = value_at(value, *keys)
    return items if isinstance(items, list) else []


def dollars(value: object) -> float | None:
    """An amount in dollars, None if `value` is not a plausible one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < 1e9 else None
