"""The adapter of an agent program that a lane's file describes, for programs without an adapter of their own."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from core.model.lane import AgentCli
from lanes.agent_clis.adapter import AgentCliAdapter, AgentCommand, AgentPrompt, AgentReport, EventParser
from lanes.agent_clis.aider import TextParser
from lanes.agent_clis.stream_lines import EventStreamParser, text

NAME = "agent"


def described_adapter(agent: AgentCli) -> AgentCliAdapter:
    """The adapter for a lane file's ``agent``: ``{task}``, ``{model}`` and ``{url}`` are replaced in its values."""

    def build_command(prompt: AgentPrompt) -> AgentCommand:
        values = {"{task}": prompt.task, "{model}": prompt.model, "{url}": prompt.url}
        home = {name: _fill(content, values).encode() for name, content in agent.home}
        environment = {name: _fill(content, values) for name, content in agent.environment}
        return AgentCommand(tuple(_fill(word, values) for word in agent.argv[1:]), environment, home)

    def new_parser() -> EventParser:
        return KeyValueParser(agent.success) if agent.events == "jsonl" else TextParser()

    return AgentCliAdapter(
        name=NAME,
        program_names=(agent.argv[0],),
        protocol=agent.speaks,
        install_hint=f"put {PurePosixPath(agent.argv[0]).name} into the PATH of the worker",
        build_command=build_command,
        new_parser=new_parser,
        transcript_name="transcript.jsonl" if agent.events == "jsonl" else "transcript.txt",
    )


def _fill(template: str, values: dict[str, str]) -> str:
    """`template` with its placeholders replaced; placeholders inside a replaced value stay."""
    positions = [(at, name) for name in values if (at := template.find(name)) >= 0]
    if not positions:
        return template
    at, name = min(positions)
    return template[:at] + values[name] + _fill(template[at + len(name) :], values)


class KeyValueParser(EventStreamParser):
    """Parses JSON lines; the last event with the key of `success` (``key=value``) decides."""

    def __init__(self, success: str) -> None:
        super().__init__(succeeded=False if success else None)
        self._key, _, self._value = success.partition("=")

    def apply(self, event: dict[str, Any], report: AgentReport) -> None:
        """See `EventStreamParser.apply`."""
        for key in ("text", "message", "content", "result"):
            report.last_message = text(event.get(key)) or report.last_message
        if self._key in event and self._key:
            value = event[self._key]
            value_text = (
                {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)
            )
            report.succeeded = value_text == self._value
            report.error = "" if report.succeeded else f"{self._key} is {value_text[:100]}"
