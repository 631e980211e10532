"""What an answer cost, read from the answer as it passes: whole JSON, server-sent events, or lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

_MOST_LINE: Final = 4 * 1024 * 1024
_CHARS_A_TOKEN: Final = 4
_MOST_BYTES_A_TOKEN: Final = 1000  # of a stream, with all that is around its words
_SPOKEN: Final = ("delta", "choices", "candidates", "message")  # where a piece of an answer has its words


class UsageReader:
    """Counts the tokens of one answer; `failed` is the error it tells, `understood` false while it is no answer."""

    def __init__(self, asked_bytes: int) -> None:
        self._asked_bytes = asked_bytes
        self._heard_bytes = 0
        self._spoken = 0
        self._line = bytearray()
        self._whole = bytearray()
        self._too_long = False
        self._input: int | None = None
        self._output: int | None = None
        self.understood = False
        self.failed = ""

    def hear(self, chunk: bytes) -> None:
        """Take the next piece of the answer."""
        self._heard_bytes += len(chunk)
        if not self.understood and len(self._whole) < _MOST_LINE:
            self._whole += chunk
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            self._line += line
            if not self._too_long:
                self._read(bytes(self._line))
            self._line.clear()
            self._too_long = False
        self._line += rest
        if len(self._line) > _MOST_LINE:
            self._line.clear()
            self._too_long = True

    def end(self) -> None:
        """The answer is complete."""
        self._read(bytes(self._line))
        self._line.clear()
        if not self.understood:
            self._read(bytes(self._whole))  # JSON written over many lines
        self._whole.clear()

    @property
    def estimated(self) -> bool:
        """Whether the answer leaves its tokens unsaid, so that its length must do."""
        return self._input is None or self._output is None

    @property
    def input_tokens(self) -> int:
        """What was asked."""
        return self._asked_bytes // _CHARS_A_TOKEN if self._input is None else self._input

    @property
    def output_tokens(self) -> int:
        """What was answered."""
        return (self._spoken or self._heard_bytes) // _CHARS_A_TOKEN if self._output is None else self._output

    @property
    def so_far(self) -> int:
        """What was answered while the answer still comes; of one that says its tokens at its end, an estimate."""
        spoken = (self._spoken + len(self._line)) // _CHARS_A_TOKEN
        return max(self._output or 0, spoken, self._heard_bytes // _MOST_BYTES_A_TOKEN)

    def _read(self, line: bytes) -> None:
        line = line.strip().removeprefix(b"data:").strip()
        if not line.startswith((b"{", b"[")):
            return
        try:
            said = json.loads(line)
        except (ValueError, RecursionError):
            return
        for event in said if isinstance(said, list) else [said]:
            if isinstance(event, dict):
                self.understood = True
                self._take(event)

    def _take(self, event: dict[str, Any]) -> None:
        self._spoken += sum(_length(event.get(key)) for key in _SPOKEN)
        for usage in _usages(event):
            asked = _sum(usage, "input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
            self._input = _most(self._input, asked, _sum(usage, "prompt_tokens"), _sum(usage, "promptTokenCount"))
            said = _sum(usage, "candidatesTokenCount", "thoughtsTokenCount")
            self._output = _most(self._output, _sum(usage, "output_tokens"), _sum(usage, "completion_tokens"), said)
        if "prompt_eval_count" in event or "eval_count" in event:
            self._input = _most(self._input, _sum(event, "prompt_eval_count"))
            self._output = _most(self._output, _sum(event, "eval_count"))
        if event.get("type") in ("error", "response.failed") or (event.get("error") and "type" not in event):
            self.failed = _reason(event)


def _usages(event: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every place where one of the protocols says what it cost."""
    inner = [event.get("message"), event.get("response")]  # anthropic's first event, and the events of responses
    for place in (event, *inner):
        if isinstance(place, dict):
            for key in ("usage", "usageMetadata"):
                if isinstance(found := place.get(key), dict):
                    yield found


def _length(value: object) -> int:
    """The length of all text in a piece of an answer."""
    if isinstance(value, dict):
        return sum(map(_length, value.values()))
    return sum(map(_length, value)) if isinstance(value, list) else len(value) if isinstance(value, str) else 0


def _sum(usage: dict[str, Any], *keys: str) -> int | None:
    """The sum of these counts, None when the first of them is not said."""
    counts = [_count(usage.get(key)) for key in keys]
    return None if counts[0] is None else sum(count or 0 for count in counts)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 40 else None


def _most(*counts: int | None) -> int | None:
    """The largest that is said: a stream says sums, and the later ones are larger."""
    said = [count for count in counts if count is not None]
    return max(said) if said else None


def _reason(event: dict[str, Any]) -> str:
    error = event.get("error") or (event.get("response") or {}).get("error") or event
    said = error.get("message") if isinstance(error, dict) else error
    return str(said)[:300]
