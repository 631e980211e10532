"""Reads the token usage from an answer while it is forwarded: JSON, server-sent events, or lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

_MAX_LINE_BYTES: Final = 4 * 1024 * 1024
_CHARS_PER_TOKEN: Final = 4
_MAX_BYTES_PER_TOKEN: Final = 1000  # of a stream, including the JSON around the text
_TEXT_KEYS: Final = ("delta", "choices", "candidates", "message")  # the keys of an event that hold text
_MAX_COUNT: Final = 1 << 40


class UsageReader:
    """Counts the tokens of an answer; `error` is an error in it, and `is_answer` is True once any JSON was read."""

    def __init__(self, request_bytes: int) -> None:
        self._request_bytes = request_bytes
        self._answer_bytes = 0
        self._text_chars = 0
        self._line = bytearray()
        self._whole = bytearray()
        self._too_long = False
        self._input: int | None = None
        self._output: int | None = None
        self.is_answer = False
        self.error = ""

    def feed(self, chunk: bytes) -> None:
        """Add the next chunk of the answer."""
        self._answer_bytes += len(chunk)
        if not self.is_answer and len(self._whole) < _MAX_LINE_BYTES:
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
        """Read the rest of the answer."""
        self._read(bytes(self._line))
        self._line.clear()
        if not self.is_answer:
            self._read(bytes(self._whole))  # JSON over several lines
        self._whole.clear()

    @property
    def is_estimate(self) -> bool:
        """True if the answer does not report its tokens, which are then estimated from its length."""
        return self._input is None or self._output is None

    @property
    def input_tokens(self) -> int:
        """The tokens of the request."""
        return self._request_bytes // _CHARS_PER_TOKEN if self._input is None else self._input

    @property
    def output_tokens(self) -> int:
        """The tokens of the answer."""
        return (self._text_chars or self._answer_bytes) // _CHARS_PER_TOKEN if self._output is None else self._output

    @property
    def output_so_far(self) -> int:
        """The tokens of an incomplete answer, estimated if it reports them only at its end."""
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
                self.is_answer = True
                self._add_event(event)

    def _add_event(self, event: dict[str, Any]) -> None:
        self._text_chars += sum(_length(event.get(key)) for key in _TEXT_KEYS)
        for usage in _usages(event):
            with_cache = _sum(usage, "input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
            self._input = _largest(
                self._input, with_cache, _sum(usage, "prompt_tokens"), _sum(usage, "promptTokenCount")
            )
            gemini_output = _sum(usage, "candidatesTokenCount", "thoughtsTokenCount")
            self._output = _largest(
                self._output, _sum(usage, "output_tokens"), _sum(usage, "completion_tokens"), gemini_output
            )
        if "prompt_eval_count" in event or "eval_count" in event:
            self._input = _largest(self._input, _sum(event, "prompt_eval_count"))
            self._output = _largest(self._output, _sum(event, "eval_count"))
        if event.get("type") in ("error", "response.failed") or (event.get("error") and "type" not in event):
            self.error = _reason(event)


def _usages(event: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The usage objects of an event, wherever a protocol puts them."""
    inner = [event.get("message"), event.get("response")]  # anthropic's first event, and the events of responses
    for parent in (event, *inner):
        if isinstance(parent, dict):
            for key in ("usage", "usageMetadata"):
                if isinstance(usage := parent.get(key), dict):
                    yield usage


def _length(value: object) -> int:
    """The length of all text in a part of an event."""
    if isinstance(value, dict):
        return sum(map(_length, value.values()))
    return sum(map(_length, value)) if isinstance(value, list) else len(value) if isinstance(value, str) else 0


def _sum(usage: dict[str, Any], *keys: str) -> int | None:
    """The sum of these counts; None if the first is missing."""
    counts = [_count(usage.get(key)) for key in keys]
    return None if counts[0] is None else sum(count or 0 for count in counts)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MAX_COUNT else None


def _largest(*counts: int | None) -> int | None:
    """The largest of the reported counts, since a stream reports increasing totals."""
    return max((count for count in counts if count is not None), default=None)


def _reason(event: dict[str, Any]) -> str:
    error = event.get("error") or (event.get("response") or {}).get("error") or event
    message = error.get("message") if isinstance(error, dict) else error
    return str(message)[:300]
