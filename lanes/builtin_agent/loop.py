"""The loop: ask the model, do what it calls for, tell it what came of that, until it says that it is done.

Every answer is kept in the journal before anything is done about it, and what was done right after. So whoever takes
the work over replays both, and asks the model for nothing that it answered already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from core.model.errors import PermanentError
from core.model.provenance import Usage
from core.ports import Journal, ProgressReporter, UsageReporter
from core.strict_json import NotJsonError
from lanes.builtin_agent.budget import BudgetMeter
from lanes.builtin_agent.context import fitted
from lanes.builtin_agent.tool_call_text import called, plainly
from lanes.builtin_agent.tools import FINISH, TOOLS, AgentTools
from lanes.models import ChatMessage, ChatModel, ChatReply, ChatRequest, ToolCall

_IDLE_ANSWERS: Final = 3
_MOST_RETRIES: Final = 2
_ECHO_CHARS: Final = 2_000
_AGAIN: Final = "That answer cannot be used: {why} Answer once more, with the JSON object only."
_NUDGE: Final = "Call a tool. When the change is complete, call finish with one sentence about it."


@dataclass(slots=True)
class AgentLoop:
    """One piece of work. `talk` is what was said so far, the system's words and the request first.

    `misread` says why the last answer of a model without tools was no call.
    """

    model: ChatModel
    tools: AgentTools
    meter: BudgetMeter
    journal: Journal
    told: ProgressReporter
    charge: UsageReporter
    room_tokens: int
    talk: list[ChatMessage]
    uses_tools: bool = True
    idle: int = 0
    misread: str = ""
    summary: str | None = field(default=None, init=False)

    async def run(self) -> str:
        """Work until the model is done; its own words about it.

        Raises `BudgetError` when it spends too much or goes in circles, `PermanentError` ``model_babbled`` when its
        answers cannot be read, and what `ChatModel.ask` raises.
        """
        await self._replay()
        while self.summary is None:
            reply = await self._ask()
            await self.journal.add({"reply": _kept(reply)})
            results = await self._carry_out(reply, None)
            await self.journal.add({"results": results})
        return self.summary

    async def _ask(self) -> ChatReply:
        """The model's next answer, within what it may still spend."""
        self.meter.before_step()
        messages = tuple(fitted(self.talk, self.room_tokens))
        try:
            reply = await self._put(messages)
        except PermanentError as error:
            if error.problem.code != "model_no_tools" or not self.uses_tools:
                raise
            self.uses_tools = False  # such a model answers with the call as JSON instead
            reply = await self._put(messages)
        self.meter.after_step(reply.usage)
        for usage in self.meter.usage:
            await self.charge(usage)
        return reply

    async def _put(self, messages: tuple[ChatMessage, ...]) -> ChatReply:
        heard = self.meter.hearing(self.told)
        most = self.meter.most_tokens(self.room_tokens // 4)
        if self.uses_tools:
            return await self.model.ask(ChatRequest(messages, TOOLS, on_text=heard, max_tokens=most))
        reply = await self.model.ask(replace(plainly(messages), on_text=heard, max_tokens=most))
        self.misread = ""
        try:
            return replace(reply, text="", calls=(called(reply.text),))
        except NotJsonError as error:
            self.misread = str(error)
            return replace(reply, text=reply.text[:_ECHO_CHARS], calls=())

    async def _carry_out(self, reply: ChatReply, results: list[str] | None) -> list[str]:
        """Do what the answer calls for; `results` are what an earlier try was told of it, if one was."""
        self.talk.append(ChatMessage("assistant", reply.text, reply.calls))
        if not reply.calls:
            return self._idle(reply)
        self._count_wrong(reply)
        said: list[str] = []
        for n, call in enumerate(reply.calls):
            before = results[n] if results is not None and n < len(results) else None
            said.append(await self._call(call, before))
            self.talk.append(ChatMessage("tool", said[-1], tool=call.name))
            if call.name == FINISH and self.tools.may_finish:
                summary = call.arguments.get("summary")
                self.summary = summary if isinstance(summary, str) and summary else reply.text
        return said

    def _count_wrong(self, reply: ChatReply) -> None:
        """Count answers of which no call can be used; too many in a row end the work."""
        if not all(call.error for call in reply.calls):
            self.idle = 0
            return
        self.idle += 1
        if self.idle > _MOST_RETRIES:
            raise self._babbled(reply, reply.calls[-1].error)

    async def _call(self, call: ToolCall, before: str | None) -> str:
        self.meter.before_call(call, self.tools.changes)
        if before is None:
            await self.told(f"{self.meter.told()}; {call.name}" if call.name in self.tools.names else self.meter.told())
        return await self.tools.call(call, before)

    def _idle(self, reply: ChatReply) -> list[str]:
        """An answer without a call: some models say so that they are done; others must be asked to go on."""
        self.idle += 1
        if self.misread:
            if self.idle > _MOST_RETRIES:
                raise self._babbled(reply, self.misread)
            self.talk.append(ChatMessage("user", _AGAIN.format(why=self.misread)))
            return [self.misread]
        if (self.tools.changes and reply.text.strip()) or self.idle >= _IDLE_ANSWERS:
            self.summary = reply.text
        else:
            self.talk.append(ChatMessage("user", _NUDGE))
        return []

    def _babbled(self, reply: ChatReply, why: str) -> PermanentError:
        message = f"{reply.model} gave {self.idle} answers in a row that cannot be used. {why}"
        return PermanentError("model_babbled", message, "Name another model in the lane; best one with tools.")

    async def _replay(self) -> None:
        """Do again, on the files, what an earlier try of this work did; its answers count as asked."""
        entries = await self.journal.recall()
        for n, entry in enumerate(entries):
            if "reply" not in entry:
                continue
            reply = _reply(entry["reply"])
            self.meter.before_step()
            self.meter.after_step(reply.usage)
            results = entries[n + 1].get("results") if n + 1 < len(entries) else None
            self.misread = results[0] if results and not reply.calls else ""
            told = await self._carry_out(reply, results)
            if results is None:
                await self.journal.add({"results": told})


def _kept(reply: ChatReply) -> dict[str, Any]:
    usage = reply.usage
    return {
        "message": ChatMessage("assistant", reply.text, reply.calls).to_json(),
        "model": reply.model,
        "usage": {"input": usage.input_tokens, "output": usage.output_tokens, "usd": usage.usd},
    }


def _reply(kept: Mapping[str, Any]) -> ChatReply:
    message, spent = ChatMessage.from_json(kept["message"]), kept["usage"]
    usage = Usage(kept["model"], 1, spent["input"], spent["output"], spent["usd"])
    return ChatReply(message.text, message.calls, kept["model"], usage)
