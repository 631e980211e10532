"""The agent loop: ask the model, run the tools it calls, show it the results, until it says that it is done.

Every answer is in the journal before anything is done about it, and the results of its calls right after. Whoever takes
the work over replays both, and asks the model nothing that it answered already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from core.model.errors import PermanentError
from core.model.ids import new_id
from core.model.provenance import Usage
from core.ports import Journal, ProgressReporter, UsageReporter
from core.strict_json import NotJsonError
from lanes.builtin_agent.budget import BudgetMeter
from lanes.builtin_agent.context import fitted
from lanes.builtin_agent.tool_call_text import parse_call, without_tools
from lanes.builtin_agent.tools import FINISH, TOOLS, AgentTools
from lanes.models import ChatMessage, ChatModel, ChatReply, ChatRequest, ToolCall

_MAX_IDLE: Final = 3
_MAX_RETRIES: Final = 2
_ECHO_CHARS: Final = 2_000
_AGAIN: Final = "That answer cannot be used: {why} Answer once more, with the JSON object only."
_REMINDER: Final = "Call a tool. When the change is complete, call finish with one sentence about it."


@dataclass(slots=True)
class AgentLoop:
    """One piece of work. `messages` is the conversation so far; the system's words and the request come first.

    `idle` counts answers in a row that led to nothing. `misread` says why the last answer of a model without tools was
    not a call.
    """

    model: ChatModel
    tools: AgentTools
    meter: BudgetMeter
    journal: Journal
    progress: ProgressReporter
    usage: UsageReporter
    room_tokens: int
    messages: list[ChatMessage]
    uses_tools: bool = True
    idle: int = 0
    misread: str = ""
    summary: str | None = field(default=None, init=False)

    async def run(self) -> str:
        """Work until the model is done; returns its own words about it.

        Raises `BudgetError` when a limit of the budget is reached, `PermanentError` ``model_babbled`` when its answers
        cannot be read, and what `ChatModel.ask` raises.
        """
        await self._replay()
        while self.summary is None:
            call, reply = new_id("call"), await self._ask()
            try:
                await self.journal.add({"call": call, "reply": _to_json(reply)})
            finally:  # a worker that lost the job meanwhile has spent the tokens all the same
                await self._charge(call, reply.usage)
            results = await self._carry_out(reply, None)
            await self.journal.add({"results": results})
        return self.summary

    async def _ask(self) -> ChatReply:
        """The model's next answer, within what is left of the budget."""
        self.meter.begin_step()
        messages = tuple(fitted(self.messages, self.room_tokens))
        try:
            return await self._answer_to(messages)
        except PermanentError as error:
            if error.problem.code != "model_no_tools" or not self.uses_tools:
                raise
            self.uses_tools = False  # such a model answers with the call as JSON instead
            return await self._answer_to(messages)

    async def _answer_to(self, messages: tuple[ChatMessage, ...]) -> ChatReply:
        listen = self.meter.answer_listener(self.progress)
        most = self.meter.answer_tokens(self.room_tokens // 4)
        if self.uses_tools:
            return await self.model.ask(ChatRequest(messages, TOOLS, on_text=listen, max_tokens=most))
        reply = await self.model.ask(replace(without_tools(messages), on_text=listen, max_tokens=most))
        self.misread = ""
        try:
            return replace(reply, text="", calls=(parse_call(reply.text),))
        except NotJsonError as error:
            self.misread = str(error)
            return replace(reply, text=reply.text[:_ECHO_CHARS], calls=())

    async def _charge(self, call: str, usage: Usage) -> None:
        """Report what an answer cost, and count it unless the ledger had it already."""
        if await self.usage.report(call, usage):
            self.meter.add(usage)

    async def _carry_out(self, reply: ChatReply, earlier: list[str] | None) -> list[str]:
        """Run the calls of an answer; `earlier` are their results in the try that made them, if there was one."""
        self.messages.append(ChatMessage("assistant", reply.text, reply.calls))
        if not reply.calls:
            return self._without_calls(reply)
        self._count_wrong(reply)
        results: list[str] = []
        for n, call in enumerate(reply.calls):
            result = await self._run(call, earlier[n] if earlier is not None and n < len(earlier) else None)
            results.append(result)
            self.messages.append(ChatMessage("tool", result, tool=call.name))
            if call.name == FINISH and self.tools.may_finish:
                summary = call.arguments.get("summary")
                self.summary = summary if isinstance(summary, str) and summary else reply.text
        return results

    def _count_wrong(self, reply: ChatReply) -> None:
        """Count answers of which no call can be used; too many in a row end the work."""
        if not all(call.error for call in reply.calls):
            self.idle = 0
            return
        self.idle += 1
        if self.idle > _MAX_RETRIES:
            raise self._babbled(reply, reply.calls[-1].error)

    async def _run(self, call: ToolCall, earlier: str | None) -> str:
        self.meter.count_call(call, self.tools.changes)
        if earlier is None:
            progress = self.meter.progress()
            await self.progress(f"{progress}; {call.name}" if call.name in self.tools.names else progress)
        return await self.tools.call(call, earlier)

    def _without_calls(self, reply: ChatReply) -> list[str]:
        """An answer without a call: some models end that way; others need a reminder to go on."""
        self.idle += 1
        if self.misread:
            if self.idle > _MAX_RETRIES:
                raise self._babbled(reply, self.misread)
            self.messages.append(ChatMessage("user", _AGAIN.format(why=self.misread)))
            return [self.misread]
        if (self.tools.changes and reply.text.strip()) or self.idle >= _MAX_IDLE:
            self.summary = reply.text
        else:
            self.messages.append(ChatMessage("user", _REMINDER))
        return []

    def _babbled(self, reply: ChatReply, why: str) -> PermanentError:
        message = f"{reply.model} gave {self.idle} answers in a row that cannot be used. {why}"
        return PermanentError("model_babbled", message, "Name another model in the lane; best one with tools.")

    async def _replay(self) -> None:
        """Do again, on the files, what earlier tries of this work did; their answers are not asked for again."""
        entries = await self.journal.recall()
        for n, entry in enumerate(entries):
            if "reply" not in entry:
                continue
            reply = _from_json(entry["reply"])
            if "call" in entry:  # without: written before 0007, which carried its cost over
                await self._charge(entry["call"], reply.usage)
            earlier = entries[n + 1].get("results") if n + 1 < len(entries) else None
            self.misread = earlier[0] if earlier and not reply.calls else ""
            results = await self._carry_out(reply, earlier)
            if earlier is None:
                await self.journal.add({"results": results})


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
