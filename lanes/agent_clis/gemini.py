"""Adapter of gemini-cli (npm ``@google/gemini-cli``), with our settings; measured with 0.61.0.

With a dead server it retries forever.
"""

from __future__ import annotations

import json
from typing import Any

from lanes.agent_clis.adapter import AgentCliAdapter, AgentCommand, AgentPrompt, AgentReport
from lanes.agent_clis.stream_lines import EventStreamParser, text, value_at

_SETTINGS = {
    "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": False}},
    "general": {"disableAutoUpdate": True, "enableAutoUpdate": False, "checkpointing": {"enabled": False}},
    "telemetry": {"enabled": False},
    "privacy": {"usageStatisticsEnabled": False},
    "tools": {"sandbox": False},
    "mcpServers": {},
}


def _command(prompt: AgentPrompt) -> AgentCommand:
    return AgentCommand(
        ("-m", prompt.model, "--yolo", "--output-format", "stream-json", "-p", prompt.task),
        {
            "GEMINI_API_KEY": "none",
            "GEMINI_CLI_NO_RELAUNCH": "true",
            "GEMINI_CLI_TRUST_WORKSPACE": "true",
            "GOOGLE_GEMINI_BASE_URL": prompt.url,
        },
        {".gemini/settings.json": json.dumps(_SETTINGS).encode()},
    )


class GeminiParser(EventStreamParser):
    """Parses its JSON events; the last one, ``result``, decides. Its messages arrive in pieces."""

    _in_message = False

    def apply(self, event: dict[str, Any], report: AgentReport) -> None:
        """See `EventStreamParser.apply`."""
        kind = event.get("type")
        is_message = kind == "message" and event.get("role") == "assistant"
        if is_message:
            report.last_message = text((report.last_message if self._in_message else "") + text(event.get("content")))
        elif kind == "result":
            report.succeeded = event.get("status") == "success"
            report.error = (
                "" if report.succeeded else text(value_at(event, "error", "message")) or report.error or "an error"
            )
        elif kind == "error":
            report.error = text(event.get("message")) or text(value_at(event, "error", "message"))
        self._in_message = is_message


GEMINI = AgentCliAdapter(
    name="gemini-cli",
    program_names=("gemini",),
    protocol="gemini",
    install_hint="npm install -g @google/gemini-cli",
    build_command=_command,
    new_parser=GeminiParser,
    leftovers=(".gemini",),
)
