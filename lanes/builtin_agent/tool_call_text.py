"""For models that know no tools: the tools are described in words, and a call is the answer itself, as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from core.strict_json import NotJsonError, read_object
from lanes.builtin_agent.tools import TOOLS
from lanes.models import ChatMessage, ChatRequest, ToolCall

_MAX_CHARS: Final = 200_000
_MAX_DEPTH: Final = 8
_FENCE: Final = re.compile(r"```(?:json)?\n(.*)\n```", re.DOTALL)
_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "tool": {"type": "string", "enum": [tool.name for tool in TOOLS]},
        "arguments": {"type": "object"},
    },
    "required": ["tool", "arguments"],
}


def plainly(messages: Sequence[ChatMessage]) -> ChatRequest:
    """The same question without tools: the answer must be one call, of the shape of `_SCHEMA`."""
    described = "\n".join(
        f"- {tool.name}({', '.join(tool.parameters['properties'])}): {tool.description}" for tool in TOOLS
    )
    opening = ChatMessage(
        "system",
        f'{messages[0].text}\n\nAnswer with one JSON object, {{"tool": NAME, "arguments": {{…}}}}, and nothing else. '
        f"The tools are:\n{described}",
    )
    return ChatRequest((opening, *map(_without_calls, messages[1:])), schema=_SCHEMA)


def called(text: str) -> ToolCall:
    """The one call that an answer is, a Markdown fence around it aside; raises `NotJsonError` for anything else."""
    found = read_object(_unfenced(text), most_chars=_MAX_CHARS, most_depth=_MAX_DEPTH)
    if set(found) != {"tool", "arguments"}:
        raise NotJsonError('The answer must have the keys "tool" and "arguments", and no others.')
    if not isinstance(found["tool"], str) or not isinstance(found["arguments"], dict):
        raise NotJsonError('"tool" must be a name, and "arguments" an object.')
    return ToolCall(found["tool"], found["arguments"])


def _unfenced(text: str) -> str:
    fenced = _FENCE.fullmatch(text.strip())
    return fenced[1] if fenced else text


def _without_calls(message: ChatMessage) -> ChatMessage:
    if message.role == "tool":
        return ChatMessage("user", f"{message.tool} says:\n{message.text}")
    said = [json.dumps({"tool": call.name, "arguments": dict(call.arguments)}) for call in message.calls]
    return ChatMessage(message.role, "\n".join([*([message.text] if message.text else []), *said]))
