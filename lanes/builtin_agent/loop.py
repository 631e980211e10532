"""The agent loop: asks the model, runs the tools that it calls, and returns their results, until it calls finish.

The journal gets every answer before its calls run, and their results right afterwards. A later try of the work replays
both, so that the model answers each request only once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from core.model.errors import PermanentError
from core.model.ids import new_id
from core.model.provenance import Usage
from core.model.stored import StoredObject
from core.ports.journal import Journal
from core.ports.reporting import ProgressReporter, UsageReporter
from core.strict_json import NotJsonError
from lanes.builtin_agent.budget import BudgetMeter
from lanes.builtin_agent.context import fit_context
from lanes.builtin_agent.tool_call_text import parse_call, without_tools
from lanes.builtin_agent.tools import FINISH, TOOLS, AgentTools
from lanes.models import ChatMessage, ChatModel, ChatReply, ChatRequest, ToolCall

_VERSION: Final = 1
"""Of its entries in a journal."""
_MAX_IDLE: Final = 3
_MAX_RETRIES: Final = 2
_ECHO_CHARS: Final = 2_000
_RETRY: Final = "That answer cannot be used: {reason} Answer again, with the JSON object only."
_REMINDER: Final = "Call a tool. When the change is complete, call finish with one sentence about it."


@dataclass(slots=True)
class AgentLoop:
    """A conversation that does a piece of work; `messages` begins with the system message and the request.

    `idle` counts answers in a row without an effect. `parse_error` says why the last answer of a model without tools
    was not a call.
    """

    model: ChatModel
    tools: AgentTools
    meter: BudgetMeter
    journal: Journal
    progress: ProgressReporter
    usage: UsageReporter
    context_tokens: int
    messages: list[ChatMessage]
    uses_tools: bool = True
    idle: int = 0
    parse_error: str = ""
    summary: str | None = field(default=None, init=False)

    async def run(self) -> str:
        """Run until the model finishes; returns its own summary.

        Raises `BudgetSpentError` when a limit of the budget is reached, `PermanentError` ``model_babbled`` when the
        model's answers cannot be used, and what `ChatModel.ask` raises.
        """
        await self._replay()
        while self.summary is None:
            call, reply = new_id("call"), await self._ask()
            try:
                await self.journal.add({"v": _VERSION, "call": call, "reply": _to_json(reply)})
            finally:  # the tokens are spent even if the worker has lost the job meanwhile
                await self._charge(call, reply.usage)
            results = await self._apply(reply, None)
            await self.journal.add({"v": _VERSION, "results": results})
        return self.summary

    async def _ask(self) -> ChatReply:
        """The model's next answer, within the remaining budget."""
        self.meter.begin_step()
        messages = tuple(fit_context(self.messages, self.context_tokens))
        try:
            return await self._request(messages)
        except PermanentError as error:
            if error.problem.code != "model_no_tools" or not self.uses_tools:
                raise
            self.uses_tools = False  # from now on, the model answers with a call as JSON
            return await self._request(messages)

    async def _request(self, messages: tuple[ChatMessage, ...]) -> ChatReply:
        listen = self.meter.answer_listener(self.progress)
        max_tokens = self.meter.answer_tokens(self.context_tokens // 4)
        if self.uses_tools:
            return await self.model.ask(ChatRequest(messages, TOOLS, on_text=listen, max_tokens=max_tokens))
        reply = await self.model.ask(replace(without_tools(messages), on_text=listen, max_tokens=max_tokens))
        self.parse_error = ""
        try:
            return replace(reply, text="", calls=(parse_call(reply.text),))
        except NotJsonError as error:
            self.parse_error = str(error)
            return replace(reply, text=reply.text[:_ECHO_CHARS], calls=())

    async def _charge(self, call: str, usage: Usage) -> None:
        """Report the cost of an answer, and count it unless the ledger had it already."""
        if await self.usage.report(call, usage):
            self.meter.add(usage)

    async def _apply(self, reply: ChatReply, earlier: list[str] | None) -> list[str]:
        """Run the calls of an answer; on a replay, `earlier` are their results."""
        self.messages.append(ChatMessage("assistant", reply.text, reply.calls))
        if not reply.calls:
            return self._continue_without_call(reply)
        self._count_invalid(reply)
        results: list[str] = []
        for n, call in enumerate(reply.calls):
            result = await self._run(call, earlier[n] if earlier is not None and n < len(earlier) else None)
            results.append(result)
            self.messages.append(ChatMessage("tool", result, tool=call.name))
            if call.name == FINISH and self.tools.may_finish:
                summary = call.arguments.get("summary")
                self.summary = summary if isinstance(summary, str) and summary else reply.text
        return results

    def _count_invalid(self, reply: ChatReply) -> None:
        """Count answers with invalid calls only; too many in a row end the work."""
        if not all(call.error for call in reply.calls):
            self.idle = 0
            return
        self.idle += 1
        if self.idle > _MAX_RETRIES:
            raise self._unusable_error(reply, reply.calls[-1].error)

    async def _run(self, call: ToolCall, earlier: str | None) -> str:
        self.meter.count_call(call, self.tools.changes)
        if earlier is None:
            progress = self.meter.progress()
            await self.progress(f"{progress}; {call.name}" if call.name in self.tools.names else progress)
        return await self.tools.call(call, earlier)

    def _continue_without_call(self, reply: ChatReply) -> list[str]:
        """Handle an answer without a call: it ends the work after a change; otherwise the model gets a reminder."""
        self.idle += 1
        if self.parse_error:
            if self.idle > _MAX_RETRIES:
                raise self._unusable_error(reply, self.parse_error)
            self.messages.append(ChatMessage("user", _RETRY.format(reason=self.parse_error)))
            return [self.parse_error]
        if (self.tools.changes and reply.text.strip()) or self.idle >= _MAX_IDLE:
            self.summary = reply.text
        else:
            self.messages.append(ChatMessage("user", _REMINDER))
        return []

    def _unusable_error(self, reply: ChatReply, reason: str) -> PermanentError:
        message = f"{reply.model} gave {self.idle} answers in a row that cannot be used. {reason}"
        return PermanentError(
            "model_babbled", message, "Name another model in the lane, preferably one that supports tools."
        )

    async def _replay(self) -> None:
        """Apply the journaled answers of earlier tries of this work, without asking the model again."""
        entries = [StoredObject(entry, "a model's turn", newest=_VERSION) for entry in await self.journal.recall()]
        for n, entry in enumerate(entries):
            answer, call = entry.get("reply"), entry.get("call")
            if answer is None:
                continue
            reply = _from_json(answer)
            if call is not None:  # entries from before migration 0007, which moved their costs to the ledger, have none
                await self._charge(call, reply.usage)
            earlier = entries[n + 1].get("results") if n + 1 < len(entries) else None
            self.parse_error = earlier[0] if earlier and not reply.calls else ""
            results = await self._apply(reply, earlier)
            if earlier is None:
                await self.journal.add({"v": _VERSION, "results": results})


def _to_json(reply: ChatReply) -> dict[str, Any]:
    usage = reply.usage
    return {
        "message": ChatMessage("assistant", reply.text, reply.calls).to_json(),
        "model": reply.model,
        "usage": {"input": usage.input_tokens, "output": usage.output_tokens, "usd": usage.usd},
    }


def _from_json(value: Mapping[str, Any]) -> ChatReply:
    message, usage = ChatMessage.from_json(value["message"]), value["usage"]
    spent = Usage(value["model"], 1, usage["input"], usage["output"], usage["usd"])
    return ChatReply(message.text, message.calls, value["model"], spent)
