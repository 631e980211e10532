"""gemini-cli (npm ``@google/gemini-cli``), with settings of ours; measured with 0.61.0.

With a dead server it asks on and on.
"""

from __future__ import annotations

import json
from typing import Any

from lanes.agent_clis.cli import AgentCliAdapter, AgentCommand, AgentEvent, AgentPrompt
from lanes.agent_clis.stream_lines import EventStreamParser, part, text

_SETTINGS = {
    "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": False}},
    "general": {"disableAutoUpdate": True, "enableAutoUpdate": False, "checkpointing": {"enabled": False}},
    "telemetry": {"enabled": False},
    "privacy": {"usageStatisticsEnabled": False},
    "tools": {"sandbox": False},
    "mcpServers": {},
}


def _call(errand: AgentPrompt) -> AgentCommand:
    return AgentCommand(
        ("-m", errand.model, "--yolo", "--output-format", "stream-json", "-p", errand.task),
        {
            "GEMINI_API_KEY": "none",
            "GEMINI_CLI_NO_RELAUNCH": "true",
            "GEMINI_CLI_TRUST_WORKSPACE": "true",
            "GOOGLE_GEMINI_BASE_URL": errand.url,
        },
        {".gemini/settings.json": json.dumps(_SETTINGS).encode()},
    )


class GeminiParser(EventStreamParser):
    """Its stream of JSON: the truth is in the last event, ``result``; what it says comes in pieces."""

    _speaking = False

    def take(self, said: dict[str, Any], heard: AgentEvent) -> None:
        """Take one event."""
        kind = said.get("type")
        speaks = kind == "message" and said.get("role") == "assistant"
        if speaks:
            heard.words = text((heard.words if self._speaking else "") + text(said.get("content")))
        elif kind == "result":
            heard.ended = said.get("status") == "success"
            heard.why = "" if heard.ended else text(part(said, "error", "message")) or heard.why or "an error"
        elif kind == "error":
            heard.why = text(said.get("message")) or text(part(said, "error", "message"))
        self._speaking = speaks


GEMINI = AgentCliAdapter(
    name="gemini-cli",
    programs=("gemini",),
    speaks="gemini",
    get="npm install -g @google/gemini-cli",
    call=_call,
    ear=GeminiParser,
    litter=(".gemini",),
)
