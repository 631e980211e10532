"""Reading what programs say: lines out of chunks, and objects out of lines; all of it untrusted."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final

from core.log import redact
from lanes.agent_clis.cli import AgentEvent

_MOST_LINE: Final = 16 * 1024 * 1024
_MOST_WORDS: Final = 20_000
# Controls but for line ends and tabs, what shifts or hides text, tags, and bytes that are no text
_ODD: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\ud800-\udfff\U000e0000-\U000e0fff]"
)


class StreamLines:
    """Cuts output into lines as it comes; a line that is too long is dropped whole."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take
        self._rest = bytearray()
        self._dropping = False

    def add(self, chunk: bytes) -> None:
        """Take the next piece of output."""
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            self._rest += line
            if not self._dropping:
                self._take(bytes(self._rest).rstrip(b"\r"))
            self._rest.clear()
            self._dropping = False
        self._rest += rest
        if len(self._rest) > _MOST_LINE:
            self._rest.clear()
            self._dropping = True

    def end(self) -> None:
        """There is no more."""
        if self._rest and not self._dropping:
            self._take(bytes(self._rest))
        self._rest.clear()


def plain(said: str, key: str | None) -> str:
    """`said` as it may be kept and shown: without `key` and what looks like one, its odd characters written out."""
    if key:
        said = said.replace(key, "[key]")
    return _ODD.sub(lambda odd: json.dumps(odd[0])[1:-1], redact(said))  # as JSON writes them: an event stays one


def event(line: bytes) -> dict[str, Any] | None:
    """The JSON object that a line is, None for anything else."""
    if not line.startswith(b"{"):
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


class EventStreamParser(ABC):
    """Hears lines of JSON; `take` makes of each what it means."""

    def __init__(self, *, ended: bool | None = False) -> None:
        self._heard = AgentEvent(ended=ended)

    def line(self, line: bytes) -> None:
        """Take one line; what is no JSON says nothing."""
        if (said := event(line)) is not None:
            self.take(said, self._heard)

    @abstractmethod
    def take(self, said: dict[str, Any], heard: AgentEvent) -> None:
        """Write down what one event says."""

    def heard(self) -> AgentEvent:
        """What it all came to."""
        return self._heard


def text(value: object) -> str:
    """`value` as text of a bounded length; nothing for what is no text."""
    return value[:_MOST_WORDS] if isinstance(value, str) else ""


def part(value: object, *keys: str) -> Any:
    """What lies below `keys`, None where the way is not there."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def many(value: object, *keys: str) -> list[Any]:
    """The list that lies below `keys`, an empty one where there is none."""
    found = part(value, *keys)
    return found if isinstance(found, list) else []


def money(value: object) -> float | None:
    """A sum of dollars, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < 1e9 else None
