"""Finds repeated tool calls of a model in the conversation that a program sends, in every protocol."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import takewhile
from typing import Any, Final

_CONVERSATIONS: Final = ("messages", "input", "contents")


def last_call_repeats(body: Mapping[str, Any]) -> tuple[str, int]:
    """The name of the last call in the conversation, and how often it is repeated in a row."""
    calls = _calls_from_end(body)
    last = next(calls, None)
    if last is None:
        return "", 0
    return last[0], 1 + sum(1 for _ in takewhile(lambda call: call == last, calls))


def _calls_from_end(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The name and arguments of every call, the last call first."""
    for key in _CONVERSATIONS:
        items = body.get(key)
        for item in reversed(items) if isinstance(items, list) else ():
            if isinstance(item, dict):
                yield from reversed([_name_and_arguments(call) for call in _calls(item)])


def _calls(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The calls in a message, or an item of the responses protocol that is a call."""
    if str(item.get("type")).endswith("_call"):
        yield item
    for key in ("tool_calls", "content", "parts"):
        for part in _objects(item.get(key)):
            if key == "tool_calls" or part.get("type") == "tool_use" or "functionCall" in part:
                yield part


def _name_and_arguments(call: dict[str, Any]) -> tuple[str, str]:
    for inner in ("function", "functionCall"):
        if isinstance(call.get(inner), dict):
            call = call[inner]
    arguments = next((call[key] for key in ("arguments", "input", "args", "action") if key in call), None)
    try:
        text = json.dumps(json.loads(arguments) if isinstance(arguments, str) else arguments, sort_keys=True)
    except (ValueError, RecursionError):
        text = arguments if isinstance(arguments, str) else ""
    return str(call.get("name"))[:100], text


def _objects(value: object) -> list[dict[str, Any]]:
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []
