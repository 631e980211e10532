"""An agent program that a lane's file describes, for those that this version does not know by name."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from core.model.lane import AgentCli
from lanes.agent_clis.aider import TextParser
from lanes.agent_clis.cli import AgentCliAdapter, AgentCommand, AgentEvent, AgentPrompt, EventParser
from lanes.agent_clis.stream_lines import EventStreamParser, text

NAME = "agent"


def described(agent: AgentCli) -> AgentCliAdapter:
    """The program of a lane's file: ``{task}``, ``{model}`` and ``{url}`` stand for what it is called with."""

    def call(errand: AgentPrompt) -> AgentCommand:
        values = {"{task}": errand.task, "{model}": errand.model, "{url}": errand.url}
        home = {name: _filled(content, values).encode() for name, content in agent.home}
        environment = {name: _filled(content, values) for name, content in agent.environment}
        return AgentCommand(tuple(_filled(word, values) for word in agent.argv[1:]), environment, home)

    def ear() -> EventParser:
        return KeyValueParser(agent.success) if agent.events == "jsonl" else TextParser()

    return AgentCliAdapter(
        name=NAME,
        programs=(agent.argv[0],),
        speaks=agent.speaks,
        get=f"put {PurePosixPath(agent.argv[0]).name} into the PATH of the worker",
        call=call,
        ear=ear,
        transcript="transcript.jsonl" if agent.events == "jsonl" else "transcript.txt",
    )


def _filled(word: str, values: dict[str, str]) -> str:
    """`word` with the values in it; what a value holds is not looked at again."""
    found = [(at, name) for name in values if (at := word.find(name)) >= 0]
    if not found:
        return word
    at, name = min(found)
    return word[:at] + values[name] + _filled(word[at + len(name) :], values)


class KeyValueParser(EventStreamParser):
    """Lines of JSON, of which the last event that has the key of `success` (``key=value``) says how it ended."""

    def __init__(self, success: str) -> None:
        super().__init__(ended=False if success else None)
        self._key, _, self._value = success.partition("=")

    def take(self, said: dict[str, Any], heard: AgentEvent) -> None:
        """Take one event."""
        for key in ("text", "message", "content", "result"):
            heard.words = text(said.get(key)) or heard.words
        if self._key in said and self._key:
            found = said[self._key]
            shown = {True: "true", False: "false"}.get(found, str(found)) if isinstance(found, bool) else str(found)
            heard.ended = shown == self._value
            heard.why = "" if heard.ended else f"{self._key} is {shown[:100]}"
