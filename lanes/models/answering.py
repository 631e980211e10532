"""One answer, whoever gives it: its pieces in time and within bounds, and what they come to.

An adapter only turns what its endpoint sends into an `AnswerPiece` each; deadlines, limits and what can be kept are
here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from core.model.provenance import Usage
from core.strict_json import NotJsonError
from lanes.models.chat import ChatReply, ChatRequest, ToolCall, ToolSpec
from lanes.models.endpoint import Endpoint, ModelName
from lanes.models.faults import FaultOrigin, cut_short
from lanes.models.reading import StreamMeter, in_time, storable, storable_arguments


@dataclass(frozen=True, slots=True)
class AnswerPiece:
    """A piece of an answer: its text, the calls that are whole with it, and `besides`, which only counts as length.

    `ended` says in the endpoint's words why the answer ends with it; `spent` are tokens of the question and the answer.
    """

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    besides: str = ""
    ended: str = ""
    spent: tuple[int, int] | None = None


def whose_is(endpoint: Endpoint, name: str, ask: ChatRequest) -> FaultOrigin:
    """Whom a fault of this question is about; what was asked is never quoted in it."""
    return FaultOrigin(endpoint, name, tuple(message.text for message in ask.messages))


async def answer(whose: FaultOrigin, ask: ChatRequest, pieces: AsyncGenerator[AnswerPiece, None]) -> ChatReply:
    """What the pieces come to; raises `TransientError` when a deadline strikes or their end never came.

    What `ask.heard` raises passes as it is: it happens outside of what translates the adapter's faults.
    """
    meter = StreamMeter(whose, ask.most_tokens)
    texts: list[str] = []
    calls: list[ToolCall] = []
    ended, spent = "", (0, 0)
    async with aclosing(in_time(whose, pieces)) as coming:
        async for piece in coming:
            texts.append(storable(piece.text))
            meter.count(texts[-1], piece.besides)
            calls += (_kept(meter, call) for call in piece.calls)
            ended, spent = piece.ended or ended, piece.spent or spent
            if texts[-1] and ask.heard is not None:
                await ask.heard(texts[-1])
    if not ended:
        raise cut_short(whose)
    model = str(ModelName(whose.endpoint.name, whose.name))
    return ChatReply("".join(texts), tuple(calls), model, Usage(model, 1, *spent), ended == "length")


def _kept(meter: StreamMeter, call: ToolCall) -> ToolCall:
    name = storable(call.name)
    try:
        arguments = storable_arguments(call.arguments)
    except NotJsonError as error:
        meter.count(name)
        return ToolCall(name, wrong=str(error))
    meter.count(name, str(arguments))
    return ToolCall(name, arguments, call.wrong)


def tools_on_offer(tools: Sequence[ToolSpec]) -> list[dict[str, Any]]:
    """The tools as both protocols have them."""
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.describe, "parameters": dict(tool.parameters)},
        }
        for tool in tools
    ]
