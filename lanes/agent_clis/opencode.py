"""opencode (npm ``opencode-ai``), with a configuration of ours; measured with 1.18.33.

With a dead server it asks on and on.
"""

from __future__ import annotations

import json
from typing import Any

from lanes.agent_clis.cli import HOME, AgentCliAdapter, AgentCommand, AgentEvent, AgentPrompt
from lanes.agent_clis.stream_lines import EventStreamParser, money, part, text


def _call(errand: AgentPrompt) -> AgentCommand:
    config = {
        "$schema": "https://opencode.ai/config.json",
        "autoupdate": False,
        "share": "disabled",
        "provider": {
            "lane": {
                "npm": "@ai-sdk/openai-compatible",
                "name": "lane",
                "options": {"baseURL": f"{errand.url}/v1", "apiKey": "none"},
                "models": {errand.model: {"name": errand.model}},
            }
        },
        "permission": {"*": "allow"},
        "plugin": [],
        "mcp": {},
    }
    return AgentCommand(
        ("run", "--model", f"lane/{errand.model}", "--format", "json", "--", errand.task),
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
    """Its stream of JSON: the last step ends with ``stop`` when all went well, and each says what it cost."""

    def take(self, said: dict[str, Any], heard: AgentEvent) -> None:
        """Take one event."""
        kind = said.get("type")
        if kind == "text":
            heard.words = text(part(said, "part", "text")) or heard.words
        elif kind == "step_finish":
            heard.ended = part(said, "part", "reason") == "stop"
            heard.usd = ((heard.usd or 0.0) + (money(part(said, "part", "cost")) or 0.0)) or None
        elif kind == "error":
            heard.ended = False
            named = text(part(said, "error", "data", "message")) or text(part(said, "error", "message"))
            heard.why = named or text(part(said, "error", "name")) or "an error"


OPENCODE = AgentCliAdapter(
    name="opencode",
    programs=("opencode",),
    speaks="openai",
    get="npm install -g opencode-ai",
    call=_call,
    ear=OpencodeParser,
    litter=(".opencode",),
)
