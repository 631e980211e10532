"""Asking a model: what is said to it, what it may call, and what it answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, Self

from core.model.provenance import Usage


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the model wants called: its name and arguments are the model's words, and untrusted.

    `wrong` says why the arguments cannot be used, in which case there are none; empty when they can.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message: `role` is system, user, assistant or tool; `tool` names what a tool's answer belongs to."""

    role: str
    text: str
    calls: tuple[ToolCall, ...] = ()
    tool: str = ""

    def to_json(self) -> dict[str, Any]:
        """The message as a journal keeps it."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The message that `to_json` wrote."""
        calls = tuple(
            ToolCall(call["name"], call["arguments"], call.get("wrong", "")) for call in value.get("calls", ())
        )
        return cls(value["role"], value["text"], calls, value.get("tool", ""))


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool on offer: `parameters` is the JSON Schema of its arguments."""

    name: str
    describe: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One question to a model. With `schema` its answer must be JSON of that shape; `heard` gets text as it comes."""

    messages: tuple[ChatMessage, ...]
    tools: tuple[ToolSpec, ...] = ()
    schema: Mapping[str, Any] | None = None
    heard: Callable[[str], Awaitable[None]] | None = None
    most_tokens: int = 4096


@dataclass(frozen=True, slots=True)
class ChatReply:
    """What a model answered: text, the tools it wants called, which model it was, and what that cost."""

    text: str
    calls: tuple[ToolCall, ...]
    model: str
    usage: Usage
    cut_off: bool = False


class ChatModel(Protocol):
    """Somebody to ask: one model, or several of which the first that answers is taken."""

    async def ask(self, ask: ChatRequest) -> ChatReply:
        """The answer to `ask`.

        Raises `TransientError` (codes ``model_down``, ``model_slow``, ``model_busy``) when no model answers now, and
        `PermanentError` (``model_missing``, ``model_refused``, ``model_babbled`` for what is no answer, and
        ``model_no_tools``) when asking again cannot help. An error never repeats the key or what was asked.
        """
