"""Adapter of opencode (npm ``opencode-ai``), with our configuration; measured with 1.18.33.

With a dead server it retries forever.
"""

from __future__ import annotations

import json
from typing import Any

from lanes.agent_clis.adapter import HOME, AgentCliAdapter, AgentCommand, AgentPrompt, AgentReport
from lanes.agent_clis.stream_lines import EventStreamParser, dollars, text, value_at


def _command(prompt: AgentPrompt) -> AgentCommand:
    config = {
        "$schema": "https://opencode.ai/config.json",
        "autoupdate": False,
        "share": "disabled",
        "provider": {
            "lane": {
                "npm": "@ai-sdk/openai-compatible",
                "name": "lane",
                "options": {"baseURL": f"{prompt.url}/v1", "apiKey": "none"},
                "models": {prompt.model: {"name": prompt.model}},
            }
        },
        "permission": {"*": "allow"},
        "plugin": [],
        "mcp": {},
    }
    return AgentCommand(
        ("run", "--model", f"lane/{prompt.model}", "--format", "json", "--", prompt.task),
        {
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
            "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
            "OPENCODE_DISABLE_PROJECT_CONFIG": "1",
            "OPENCODE_CONFIG": f"{HOME}/.config/opencode/opencode.json",
        },
        {".config/opencode/opencode.json": json.dumps(config).encode()},
    )


class OpencodeParser(EventStreamParser):
    """Parses its JSON events: the last step's reason is ``stop`` on success, and each step reports its cost."""

    def apply(self, event: dict[str, Any], report: AgentReport) -> None:
        """See `EventStreamParser.apply`."""
        kind = event.get("type")
        if kind == "text":
            report.last_message = text(value_at(event, "part", "text")) or report.last_message
        elif kind == "step_finish":
            report.succeeded = value_at(event, "part", "reason") == "stop"
            report.cost_usd = ((report.cost_usd or 0.0) + (dollars(value_at(event, "part", "cost")) or 0.0)) or None
        elif kind == "error":
            report.succeeded = False
            message = text(value_at(event, "error", "data", "message")) or text(value_at(event, "error", "message"))
            report.error = message or text(value_at(event, "error", "name")) or "an error"


OPENCODE = AgentCliAdapter(
    name="opencode",
    program_names=("opencode",),
    protocol="openai",
    install_hint="npm install -g opencode-ai",
    build_command=_command,
    new_parser=OpencodeParser,
    leftovers=(".opencode",),
)
