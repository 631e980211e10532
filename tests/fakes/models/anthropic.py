"""The Messages protocol of Anthropic: what a program may send, and answers as it expects them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tests.fakes.models.script import Asked, Do, Say, dumped


class Block(BaseModel):
    """One piece of a message."""

    model_config = ConfigDict(extra="allow")
    type: Literal["text", "tool_use", "tool_result", "thinking", "redacted_thinking", "image", "document"]
    text: str | None = None
    id: str | None = None
    tool_use_id: str | None = None
    content: Any = None


class Message(BaseModel):
    """One message."""

    model_config = ConfigDict(extra="forbid")
    role: Literal["user", "assistant", "system"]
    content: str | list[Block] = Field(min_length=1)


class Tool(BaseModel):
    """A tool on offer; a tool of the server's own has a type and no schema."""

    model_config = ConfigDict(extra="allow")
    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,128}$")
    input_schema: dict[str, Any] | None = None


class Question(BaseModel):
    """The body of ``POST /v1/messages``."""

    model_config = ConfigDict(extra="allow")
    model: str = Field(min_length=1)
    max_tokens: int = Field(gt=0)
    messages: list[Message] = Field(min_length=1)
    system: str | list[Block] | None = None
    tools: list[Tool] = []
    stream: bool = False


def read(body: Mapping[str, Any], headers: Mapping[str, str]) -> Asked:
    """What was asked; raises `ValueError` for what Anthropic would refuse."""
    question = Question.model_validate(body)
    if headers.get("anthropic-version") != "2023-06-01":
        raise ValueError("no anthropic-version")
    called: set[str | None] = set()
    results, texts = [], [_flat(question.system)]
    for message in question.messages:
        texts.append(_flat(message.content))
        for block in message.content if isinstance(message.content, list) else []:
            if block.type == "tool_use":
                called.add(block.id)
            elif block.type == "tool_result":
                if block.tool_use_id not in called:
                    raise ValueError(f"a result of no call: {block.tool_use_id}")
                results.append(_flat(block.content))
    tools = {tool.name: tool.input_schema or {} for tool in question.tools}
    return Asked("anthropic", question.model, tools, tuple(results), "\n".join(texts), body)


def events(asked: Asked, answer: Say | Do, n: int) -> list[dict[str, Any]]:
    """The answer as a stream's events."""
    usage = {"input_tokens": 100, "output_tokens": 1, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 5}
    start: dict[str, Any] = {
        "id": f"msg_{n}",
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    made: list[dict[str, Any]] = [{"type": "message_start", "message": start}]
    blocks: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"type": "text", "text": ""}, {"type": "text_delta", "text": answer.text})
    ]
    if isinstance(answer, Do):
        use = {"type": "tool_use", "id": f"toolu_{n}", "name": answer.tool, "input": {}}
        blocks.append((use, {"type": "input_json_delta", "partial_json": dumped(answer.arguments)}))
    for index, (block, delta) in enumerate(blocks):
        made.append({"type": "content_block_start", "index": index, "content_block": block})
        made.append({"type": "content_block_delta", "index": index, "delta": delta})
        made.append({"type": "content_block_stop", "index": index})
    stop = "tool_use" if isinstance(answer, Do) else "end_turn"
    end = {"stop_reason": stop, "stop_sequence": None}
    return [*made, {"type": "message_delta", "delta": end, "usage": {"output_tokens": 20}}, {"type": "message_stop"}]


def whole(asked: Asked, answer: Say | Do, n: int) -> dict[str, Any]:
    """The answer in one piece."""
    content: list[dict[str, Any]] = [{"type": "text", "text": answer.text}]
    if isinstance(answer, Do):
        content.append({"type": "tool_use", "id": f"toolu_{n}", "name": answer.tool, "input": dict(answer.arguments)})
    return {
        "id": f"msg_{n}",
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": content,
        "stop_reason": "tool_use" if isinstance(answer, Do) else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 100, "output_tokens": 20, "cache_read_input_tokens": 5},
    }


def error(status: int, message: str) -> dict[str, Any]:
    """An error's body."""
    kinds = {401: "authentication_error", 429: "rate_limit_error", 529: "overloaded_error"}
    return {"type": "error", "error": {"type": kinds.get(status, "api_error"), "message": message}}


def _flat(content: Any) -> str:
    if isinstance(content, list):
        return "\n".join(_flat(part.text if isinstance(part, Block) else part.get("text")) for part in content)
    return content if isinstance(content, str) else ""
