"""What a scripted model says, request by request, and how it fails."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """One request to /api/chat or /api/generate, as it came in."""

    path: str
    body: Json
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def model(self) -> str:
        """The model asked for."""
        return str(self.body["model"])

    @property
    def messages(self) -> list[Json]:
        """The conversation; a prompt of /api/generate is one message of the user's."""
        if self.path == "/api/generate":
            return [{"role": "user", "content": self.body.get("prompt", "")}]
        return list(self.body.get("messages") or [])

    @property
    def tools(self) -> list[str]:
        """The names of the tools on offer."""
        return [tool["function"]["name"] for tool in self.body.get("tools") or []]

    @property
    def format(self) -> Any:
        """The JSON Schema that the answer must have, if any."""
        return self.body.get("format")

    @property
    def options(self) -> Json:
        """``num_ctx``, ``num_predict`` and the like."""
        return dict(self.body.get("options") or {})

    @property
    def last(self) -> str:
        """The text of the last message."""
        return str(self.messages[-1].get("content") or "") if self.messages else ""

    @property
    def text(self) -> str:
        """All that the model can read."""
        return "\n".join(str(message.get("content") or "") for message in self.messages)

    @property
    def prompt_tokens(self) -> int:
        """About how long the prompt is: four characters a token."""
        return max(1, len(self.text) // 4)

    @property
    def overflows(self) -> bool:
        """Whether Ollama would cut off the beginning of this prompt without a word."""
        return self.prompt_tokens > int(self.options.get("num_ctx", 4096))


@dataclass(frozen=True, slots=True)
class Calls:
    """Tools that the model wants called, as (name, arguments), and what it says besides, at so many seconds a token."""

    calls: tuple[tuple[str, Mapping[str, Any]], ...]
    text: str = ""
    thinking: str = ""
    per_token_s: float = 0.0


def Call(name: str, /, text: str = "", **arguments: Any) -> Calls:  # noqa: N802 - it reads as a turn in a script
    """One tool that the model wants called."""
    return Calls(((name, arguments),), text)


@dataclass(frozen=True, slots=True)
class Say:
    """Text, streamed a word at a time with `per_token_s` between; `done_reason` length: it ran out of tokens."""

    text: str
    thinking: str = ""
    done_reason: str = "stop"
    per_token_s: float = 0.0
    tokens: tuple[int, int] | None = None
    """What is reported as (prompt, answer) tokens, when it is not what was counted."""
    load_s: float = 0.101397084
    """What is reported as the time of the load."""


@dataclass(frozen=True, slots=True)
class Slow:
    """Text at so many seconds a token."""

    text: str
    per_token_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Hang:
    """Silence that lasts until the client goes away: before the first token, or after so many words of `text`."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class Endless:
    """The same word for ever."""

    word: str = "and "
    per_token_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset, after `text`."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class Babble:
    """Bytes that are no answer, as a line after `text`."""

    line: bytes = b'{"model": "qwen3:8b", "message": {"role":\n'
    text: str = ""


@dataclass(frozen=True, slots=True)
class Broken:
    """The model's runner dies in the middle: status 200, some text, then a line with an error."""

    error: str = "an error was encountered while running the model: unexpected EOF"
    text: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """An answer of some other status, with Ollama's ``{"error": …}``."""

    status: int
    error: str
    headers: Mapping[str, str] = field(default_factory=dict)


def Busy(retry_after_s: int | None = None) -> Status:  # noqa: N802 - it reads as a turn in a script
    """The queue is full."""
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    return Status(503, "server busy, please try again.  maximum pending requests exceeded", headers)


@dataclass(frozen=True, slots=True)
class Redirect:
    """Go there instead."""

    to: str


Answer: TypeAlias = Say | Calls | Slow | Hang | Endless | Reset | Babble | Broken | Status | Redirect
Turn: TypeAlias = Answer | Callable[[Request], Answer]
_TURNS = (Say, Calls, Slow, Hang, Endless, Reset, Babble, Broken, Status, Redirect)


class Script:
    """The turns in their order, then `then` for ever. One function alone serves every request."""

    def __init__(self, *turns: Turn, then: Turn | None = None) -> None:
        for_ever = len(turns) == 1 and then is None and not isinstance(turns[0], _TURNS)
        self._then = turns[0] if for_ever else then
        self._turns = iter(() if for_ever else turns)

    def answer(self, request: Request) -> Answer | None:
        """What is said to this request; None when all was said."""
        turn = next(self._turns, self._then)
        if turn is None or isinstance(turn, _TURNS):
            return turn
        return turn(request)


def words_of(text: str) -> list[str]:
    """The tokens of `text`, as far as a script is concerned: words with the space after them."""
    return re.findall(r"\S+\s*|\s+", text)
