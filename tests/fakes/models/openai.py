"""The two protocols of OpenAI, chat completions and responses: what a program may send, and answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tests.fakes.models.script import Asked, Do, Say, dumped

USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}


class Called(BaseModel):
    """A tool's name and arguments."""

    model_config = ConfigDict(extra="forbid")
    name: str
    arguments: str


class ToolCall(BaseModel):
    """A call in a message of the assistant."""

    model_config = ConfigDict(extra="allow")
    id: str
    type: Literal["function"]
    function: Called


class Message(BaseModel):
    """One message of a chat."""

    model_config = ConfigDict(extra="allow")
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None


class Function(BaseModel):
    """A tool on offer."""

    model_config = ConfigDict(extra="allow")
    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    parameters: dict[str, Any] = {}


class Tool(BaseModel):
    """A tool of a chat."""

    model_config = ConfigDict(extra="forbid")
    type: Literal["function"]
    function: Function


class Chat(BaseModel):
    """The body of ``POST /v1/chat/completions``."""

    model_config = ConfigDict(extra="allow")
    model: str = Field(min_length=1)
    messages: list[Message] = Field(min_length=1)
    tools: list[Tool] = []
    stream: bool = False


def read_chat(body: Mapping[str, Any], _headers: Mapping[str, str]) -> Asked:
    """What was asked; raises `ValueError` for what OpenAI would refuse."""
    chat = Chat.model_validate(body)
    called: set[str] = set()
    results = []
    for message in chat.messages:
        called |= {call.id for call in message.tool_calls or ()}
        if message.role == "tool":
            if message.tool_call_id not in called:
                raise ValueError(f"a result of no call: {message.tool_call_id}")
            results.append(_flat(message.content))
    tools = {tool.function.name: tool.function.parameters for tool in chat.tools}
    text = "\n".join(_flat(message.content) for message in chat.messages)
    return Asked("chat", chat.model, tools, tuple(results), text, body)


def chat_whole(asked: Asked, answer: Say | Do, n: int) -> dict[str, Any]:
    """The answer in one piece."""
    message: dict[str, Any] = {"role": "assistant", "content": answer.text, **_calls(answer, n)}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if isinstance(answer, Do) else "stop"}
    named = {"id": f"chatcmpl-{n}", "object": "chat.completion", "created": 1, "model": asked.model}
    return {**named, "choices": [choice], "usage": USAGE}


def chat_events(asked: Asked, answer: Say | Do, n: int) -> list[dict[str, Any]]:
    """The answer as a stream's events."""
    named = {"id": f"chatcmpl-{n}", "object": "chat.completion.chunk", "created": 1, "model": asked.model}
    calls = _calls(answer, n).get("tool_calls", [])
    delta: dict[str, Any] = {"role": "assistant", "content": answer.text}
    if calls:
        delta["tool_calls"] = [{**call, "index": index} for index, call in enumerate(calls)]
    ends = "tool_calls" if calls else "stop"
    made: list[dict[str, Any]] = [
        {**named, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
        {**named, "choices": [{"index": 0, "delta": {}, "finish_reason": ends}]},
    ]
    wants = (asked.body.get("stream_options") or {}).get("include_usage")
    return [*made, *([{**named, "choices": [], "usage": USAGE}] if wants else [])]


def _calls(answer: Say | Do, n: int) -> dict[str, Any]:
    if isinstance(answer, Say):
        return {}
    function = {"name": answer.tool, "arguments": dumped(answer.arguments)}
    return {"tool_calls": [{"id": f"call_{n}", "type": "function", "function": function}]}


class Item(BaseModel):
    """One item of a response's input."""

    model_config = ConfigDict(extra="allow")
    type: Literal[
        "message", "function_call", "function_call_output", "reasoning", "custom_tool_call", "custom_tool_call_output",
        "local_shell_call", "local_shell_call_output", "additional_tools",
    ]  # fmt: skip
    role: Literal["system", "developer", "user", "assistant"] | None = None
    content: Any = None
    call_id: str | None = None
    output: Any = None


class Responses(BaseModel):
    """The body of ``POST /v1/responses``."""

    model_config = ConfigDict(extra="allow")
    model: str = Field(min_length=1)
    instructions: str | None = None
    input: list[Item] = Field(min_length=1)
    tools: list[dict[str, Any]] = []
    stream: Literal[True]
    store: bool = False


def read_responses(body: Mapping[str, Any], _headers: Mapping[str, str]) -> Asked:
    """What was asked; raises `ValueError` for what OpenAI would refuse."""
    asked = Responses.model_validate(body)
    called: set[str | None] = set()
    results, texts = [], [asked.instructions or ""]
    for item in asked.input:
        if item.type.endswith("_call"):
            called.add(item.call_id)
        elif item.type.endswith("_output"):
            if item.call_id not in called:
                raise ValueError(f"a result of no call: {item.call_id}")
            results.append(_flat(item.output))
        texts.append(_flat(item.content))
    tools = {}
    for tool in asked.tools:
        if not isinstance(tool.get("type"), str):
            raise ValueError(f"a tool without a type: {tool}")
        if tool["type"] == "function":
            tools[Function.model_validate(tool).name] = tool.get("parameters") or {}
    return Asked("responses", asked.model, tools, tuple(results), "\n".join(texts), body)


def responses_events(_asked: Asked, answer: Say | Do, n: int) -> list[dict[str, Any]]:
    """The answer as a stream's events."""
    content = [{"type": "output_text", "text": answer.text, "annotations": []}]
    item: dict[str, Any] = {
        "type": "message", "role": "assistant", "id": f"msg_{n}", "status": "completed", "content": content
    }  # fmt: skip
    items = [item]
    if isinstance(answer, Do):
        call = {"type": "function_call", "id": f"fc_{n}", "call_id": f"call_{n}", "name": answer.tool}
        items.append({**call, "arguments": dumped(answer.arguments), "status": "completed"})
    usage = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 120,
    }
    made: list[dict[str, Any]] = [{"type": "response.created", "response": {"id": f"resp_{n}"}}]
    made += [{"type": "response.output_item.done", "output_index": at, "item": one} for at, one in enumerate(items)]
    return [*made, {"type": "response.completed", "response": {"id": f"resp_{n}", "output": items, "usage": usage}}]


def error(_status: int, message: str) -> dict[str, Any]:
    """An error's body."""
    return {"error": {"message": message, "type": "server_error", "param": None, "code": None}}


def _flat(content: Any) -> str:
    if isinstance(content, list):
        return "\n".join(_flat(part.get("text")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""
