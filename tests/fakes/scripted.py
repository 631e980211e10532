"""A model that answers what a test tells it to, in order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from core.model.provenance import Usage
from lanes.models import ChatReply, ChatRequest
from tests import canary

NAME = "local/fake:1b"

Said = str | BaseException | dict[str, Any] | Callable[[ChatRequest], str]


@dataclass
class ScriptedModel:
    """Gives `answers` one after the other, the last for ever; a dict as JSON, an exception raised."""

    answers: list[Said]
    name: str = NAME
    asks: list[ChatRequest] = field(default_factory=list)

    async def ask(self, ask: ChatRequest) -> ChatReply:
        said = self.answers[min(len(self.asks), len(self.answers) - 1)]
        self.asks.append(ask)
        canary.seen("a model", ask.messages)
        if isinstance(said, BaseException):
            raise said
        if callable(said):
            said = said(ask)
        text = json.dumps(said) if isinstance(said, dict) else said
        return ChatReply(text, (), self.name, Usage(self.name, 1, 10, 10))

    def told(self) -> str:
        """Everything it was ever told."""
        return "\n".join(message.text for ask in self.asks for message in ask.messages)


@dataclass
class SilentModel:
    """Never answers."""

    asks: int = 0

    async def ask(self, _ask: ChatRequest) -> ChatReply:
        self.asks += 1
        await asyncio.Event().wait()
        raise AssertionError
