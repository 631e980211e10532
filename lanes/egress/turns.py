"""What a program tells its model of the talk so far, in every protocol: the calls that the model made of late."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import takewhile
from typing import Any, Final

_TALKS: Final = ("messages", "input", "contents")


def in_a_row(body: Mapping[str, Any]) -> tuple[str, int]:
    """The name of the last call in the talk that `body` holds, and how often it stands there, the same, in a row."""
    calls = _backwards(body)
    last = next(calls, None)
    if last is None:
        return "", 0
    return last[0], 1 + sum(1 for _ in takewhile(lambda call: call == last, calls))


def _backwards(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every call of the model by name and arguments, the last one first."""
    for key in _TALKS:
        said = body.get(key)
        for item in reversed(said) if isinstance(said, list) else ():
            if isinstance(item, dict):
                yield from reversed([_call(call) for call in _calls(item)])


def _calls(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The calls in one message, or the one that an item of the responses protocol is."""
    if str(item.get("type")).endswith("_call"):
        yield item
    for key in ("tool_calls", "content", "parts"):
        for part in _list(item.get(key)):
            if key == "tool_calls" or part.get("type") == "tool_use" or "functionCall" in part:
                yield part


def _call(call: dict[str, Any]) -> tuple[str, str]:
    for inner in ("function", "functionCall"):
        if isinstance(call.get(inner), dict):
            call = call[inner]
    given = next((call[key] for key in ("arguments", "input", "args", "action") if key in call), None)
    try:
        same = json.dumps(json.loads(given) if isinstance(given, str) else given, sort_keys=True)
    except (ValueError, RecursionError):
        same = given if isinstance(given, str) else ""
    return str(call.get("name"))[:100], same


def _list(value: object) -> list[dict[str, Any]]:
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []
