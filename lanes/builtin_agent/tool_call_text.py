"""Tool calls for models without tool support: the prompt describes the tools, and the answer is a call as JSON."""

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


def without_tools(messages: Sequence[ChatMessage]) -> ChatRequest:
    """The request without tools: the prompt describes them, and the answer must be one call as in `_SCHEMA`."""
    described = "\n".join(
        f"- {tool.name}({', '.join(tool.parameters['properties'])}): {tool.description}" for tool in TOOLS
    )
    opening = ChatMessage(
        "system",
        f'{messages[0].text}\n\nAnswer with one JSON object, {{"tool": NAME, "arguments": {{…}}}}, and nothing else. '
        f"The tools are:\n{described}",
    )
    return ChatRequest((opening, *map(_without_calls, messages[1:])), schema=_SCHEMA)


def parse_call(text: str) -> ToolCall:
    """Parse an answer as one call, with or without a Markdown fence; raises `NotJsonError` for anything else."""
    answer = read_object(_without_fence(text), max_chars=_MAX_CHARS, max_depth=_MAX_DEPTH)
    if set(answer) != {"tool", "arguments"}:
        raise NotJsonError('The answer must have the keys "tool" and "arguments", and no others.')
    if not isinstance(answer["tool"], str) or not isinstance(answer["arguments"], dict):
        raise NotJsonError('"tool" must be a name, and "arguments" an object.')
    return ToolCall(answer["tool"], answer["arguments"])


def _without_fence(text: str) -> str:
    match = _FENCE.fullmatch(text.strip())
    return match[1] if match else text


def _without_calls(message: ChatMessage) -> ChatMessage:
    if message.role == "tool":
        return ChatMessage("user", f"{message.tool} returned:\n{message.text}")
    calls = [json.dumps({"tool": call.name, "arguments": dict(call.arguments)}) for call in message.calls]
    return ChatMessage(message.role, "\n".join([*([message.text] if message.text else []), *calls]))
