"""The interface of chat models: messages, tools, requests and replies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from core.model.provenance import Usage


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call that the model requests; its name and arguments come from the model and are untrusted.

    `error` says why the arguments are invalid, which are then empty; it is empty when they are valid.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message; `role` is system, user, assistant or tool, and `tool` names the tool that produced the text."""

    role: str
    text: str
    calls: tuple[ToolCall, ...] = ()
    tool: str = ""

    def to_json(self) -> dict[str, Any]:
        """The message as the turn journal stores it; its keys must not change."""
        calls = [{"name": call.name, "arguments": dict(call.arguments), "wrong": call.error} for call in self.calls]
        return {"role": self.role, "text": self.text, "calls": calls, "tool": self.tool}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read a message that `to_json` wrote."""
        calls = tuple(
            ToolCall(call["name"], call["arguments"], call.get("wrong", "")) for call in value.get("calls", ())
        )
        return cls(value["role"], value["text"], calls, value.get("tool", ""))


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool that the model may call; `parameters` is the JSON Schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One request to a model.

    With `schema` the answer must be JSON of that schema. `on_text` receives text as it is streamed. `context_tokens` is
    the context that the model is loaded with, which another one would load again; None: the endpoint's own.
    """

    messages: tuple[ChatMessage, ...]
    tools: tuple[ToolSpec, ...] = ()
    schema: Mapping[str, Any] | None = None
    on_text: Callable[[str], Awaitable[None]] | None = None
    max_tokens: int = 4096
    context_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class ChatReply:
    """The model's answer: its text and tool calls, which model answered, and the tokens it used.

    `cut_off` is True when the token limit ended the answer. `load_s` is how long the model was loaded before it
    answered; None where the endpoint does not say.
    """

    text: str
    calls: tuple[ToolCall, ...]
    model: str
    usage: Usage
    cut_off: bool = False
    load_s: float | None = field(default=None, compare=False)


class ChatModel(Protocol):
    """A model, or several of which the first that answers is used."""

    async def ask(self, request: ChatRequest) -> ChatReply:
        """Send a request and return the whole answer; no error repeats the key or the request.

        Raises:
            TransientError: No model answers now (``model_down``, ``model_slow``, ``model_busy``).
            PermanentError: Asking again cannot help (``model_missing``, ``model_refused``, ``model_no_tools``, and
                ``model_babbled`` for an invalid answer).
        """
