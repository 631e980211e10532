"""For models that know no tools: the tools are described in words, and a call is the answer itself, as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from lanes.coder.tools import TOOLS
from lanes.models import Ask, Message, ToolCall

_MAX_CHARS: Final = 200_000
_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "tool": {"type": "string", "enum": [tool.name for tool in TOOLS]},
        "arguments": {"type": "object"},
    },
    "required": ["tool", "arguments"],
}


def plainly(messages: Sequence[Message]) -> Ask:
    """The same question without tools: the answer must be one call, of the shape of `_SCHEMA`."""
    described = "\n".join(
        f"- {tool.name}({', '.join(tool.parameters['properties'])}): {tool.describe}" for tool in TOOLS
    )
    opening = Message(
        "system",
        f'{messages[0].text}\n\nAnswer with one JSON object, {{"tool": NAME, "arguments": {{…}}}}, and nothing else. '
        f"The tools are:\n{described}",
    )
    return Ask((opening, *map(_without_calls, messages[1:])), schema=_SCHEMA)


def called(text: str) -> tuple[ToolCall, ...]:
    """The call that an answer holds; none when it holds no such JSON, which is told to the model as such."""
    begin, end = text.find("{"), text.rfind("}")
    if begin < 0 or end < begin or len(text) > _MAX_CHARS:
        return ()
    try:
        found = json.loads(text[begin : end + 1])
    except (ValueError, RecursionError):
        return ()
    if not isinstance(found, dict) or not isinstance(found.get("tool"), str):
        return ()
    arguments = found.get("arguments")
    return (ToolCall(found["tool"], arguments if isinstance(arguments, dict) else {}),)


def _without_calls(message: Message) -> Message:
    if message.role == "tool":
        return Message("user", f"{message.tool} says:\n{message.text}")
    said = [json.dumps({"tool": call.name, "arguments": dict(call.arguments)}) for call in message.calls]
    return Message(message.role, "\n".join([*([message.text] if message.text else []), *said]))
