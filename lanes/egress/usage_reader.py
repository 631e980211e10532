"""Reads what an answer cost from the answer as it passes: whole JSON, server-sent events, or lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

_MAX_LINE_BYTES: Final = 4 * 1024 * 1024
_CHARS_PER_TOKEN: Final = 4
_MAX_BYTES_PER_TOKEN: Final = 1000  # of a stream, with all that is around its words
_TEXT_KEYS: Final = ("delta", "choices", "candidates", "message")  # where a piece of an answer has its words
_MAX_COUNT: Final = 1 << 40


class UsageReader:
    """Counts the tokens of one answer. `failed` is the error in it; `understood` is false while it is not an answer."""

    def __init__(self, asked_bytes: int) -> None:
        self._asked_bytes = asked_bytes
        self._answer_bytes = 0
        self._text_chars = 0
        self._line = bytearray()
        self._whole = bytearray()
        self._too_long = False
        self._input: int | None = None
        self._output: int | None = None
        self.understood = False
        self.failed = ""

    def feed(self, chunk: bytes) -> None:
        """Take the next piece of the answer."""
        self._answer_bytes += len(chunk)
        if not self.understood and len(self._whole) < _MAX_LINE_BYTES:
            self._whole += chunk
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            self._line += line
            if not self._too_long:
                self._read(bytes(self._line))
            self._line.clear()
            self._too_long = False
        self._line += rest
        if len(self._line) > _MAX_LINE_BYTES:
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
    def is_estimate(self) -> bool:
        """Whether the answer does not state its tokens, so that they are estimated from its length."""
        return self._input is None or self._output is None

    @property
    def input_tokens(self) -> int:
        """The tokens of the question."""
        return self._asked_bytes // _CHARS_PER_TOKEN if self._input is None else self._input

    @property
    def output_tokens(self) -> int:
        """The tokens of the answer."""
        return (self._text_chars or self._answer_bytes) // _CHARS_PER_TOKEN if self._output is None else self._output

    @property
    def output_so_far(self) -> int:
        """The tokens of an answer that is still coming: estimated where it states them at its end."""
        estimate = (self._text_chars + len(self._line)) // _CHARS_PER_TOKEN
        return max(self._output or 0, estimate, self._answer_bytes // _MAX_BYTES_PER_TOKEN)

    def _read(self, line: bytes) -> None:
        line = line.strip().removeprefix(b"data:").strip()
        if not line.startswith((b"{", b"[")):
            return
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            return
        for event in value if isinstance(value, list) else [value]:
            if isinstance(event, dict):
                self.understood = True
                self._take(event)

    def _take(self, event: dict[str, Any]) -> None:
        self._text_chars += sum(_length(event.get(key)) for key in _TEXT_KEYS)
        for usage in _usages(event):
            asked = _sum(usage, "input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
            self._input = _largest(self._input, asked, _sum(usage, "prompt_tokens"), _sum(usage, "promptTokenCount"))
            answered = _sum(usage, "candidatesTokenCount", "thoughtsTokenCount")
            self._output = _largest(
                self._output, _sum(usage, "output_tokens"), _sum(usage, "completion_tokens"), answered
            )
        if "prompt_eval_count" in event or "eval_count" in event:
            self._input = _largest(self._input, _sum(event, "prompt_eval_count"))
            self._output = _largest(self._output, _sum(event, "eval_count"))
        if event.get("type") in ("error", "response.failed") or (event.get("error") and "type" not in event):
            self.failed = _reason(event)


def _usages(event: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every place where one of the protocols states what an answer cost."""
    inner = [event.get("message"), event.get("response")]  # anthropic's first event, and the events of responses
    for place in (event, *inner):
        if isinstance(place, dict):
            for key in ("usage", "usageMetadata"):
                if isinstance(usage := place.get(key), dict):
                    yield usage


def _length(value: object) -> int:
    """The length of all text in a piece of an answer."""
    if isinstance(value, dict):
        return sum(map(_length, value.values()))
    return sum(map(_length, value)) if isinstance(value, list) else len(value) if isinstance(value, str) else 0


def _sum(usage: dict[str, Any], *keys: str) -> int | None:
    """The sum of these counts, None when the first of them is missing."""
    counts = [_count(usage.get(key)) for key in keys]
    return None if counts[0] is None else sum(count or 0 for count in counts)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MAX_COUNT else None


def _largest(*counts: int | None) -> int | None:
    """The largest of those that are stated: a stream states sums, and the later ones are larger."""
    return max((count for count in counts if count is not None), default=None)


def _reason(event: dict[str, Any]) -> str:
    error = event.get("error") or (event.get("response") or {}).get("error") or event
    message = error.get("message") if isinstance(error, dict) else error
    return str(message)[:300]
