"""The protocol of Gemini: what a program may send, and answers as it expects them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tests.fakes.models.script import Asked, Do, Say


class Content(BaseModel):
    """One message."""

    model_config = ConfigDict(extra="forbid")
    role: Literal["user", "model", "function"] | None = None
    parts: list[dict[str, Any]] = Field(min_length=1)


class Question(BaseModel):
    """The body of ``:generateContent`` and ``:streamGenerateContent``."""

    model_config = ConfigDict(extra="allow")
    contents: list[Content] = Field(min_length=1)
    systemInstruction: Content | None = None  # noqa: N815 - the protocol's name
    tools: list[dict[str, Any]] = []
    generationConfig: dict[str, Any] = {}  # noqa: N815 - the protocol's name


def read(body: Mapping[str, Any], _headers: Mapping[str, str]) -> Asked:
    """What was asked; raises `ValueError` for what Gemini would refuse."""
    question = Question.model_validate(body)
    called: set[str] = set()
    results, texts = [], []
    for content in (question.systemInstruction, *question.contents):
        for part in content.parts if content else ():
            if "functionCall" in part:
                called.add(part["functionCall"]["name"])
            elif "functionResponse" in part:
                if part["functionResponse"]["name"] not in called:
                    raise ValueError(f"a result of no call: {part['functionResponse']['name']}")
                results.append(str(part["functionResponse"].get("response")))
            texts.append(str(part.get("text", "")))
    offered = [one for tool in question.tools for one in tool.get("functionDeclarations", [])]
    tools = {one["name"]: one.get("parametersJsonSchema") or one.get("parameters") or {} for one in offered}
    return Asked("gemini", "", tools, tuple(results), "\n".join(texts), body)


def whole(_asked: Asked, answer: Say | Do, _n: int) -> dict[str, Any]:
    """The answer in one piece; a stream has it in one event."""
    parts: list[dict[str, Any]] = [{"text": answer.text}]
    if isinstance(answer, Do):
        parts.append({"functionCall": {"name": answer.tool, "args": dict(answer.arguments)}})
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
    usage = {"promptTokenCount": 100, "candidatesTokenCount": 20, "totalTokenCount": 120}
    return {"candidates": [candidate], "usageMetadata": usage}


def error(status: int, message: str) -> dict[str, Any]:
    """An error's body."""
    return {"error": {"code": status, "message": message, "status": "INTERNAL"}}
