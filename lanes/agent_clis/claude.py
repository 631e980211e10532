"""Claude Code (npm ``@anthropic-ai/claude-code``), told to trust nothing in the repository; measured with 2.1.197.

Its exit code says nothing: without permission it is 0, with nothing changed and `permission_denials` filled; with a
dead server its last event has ``subtype: success`` and ``is_error: true``.
"""

from __future__ import annotations

import json
from typing import Any

from lanes.agent_clis.cli import AgentCliAdapter, AgentCommand, AgentEvent, AgentPrompt
from lanes.agent_clis.stream_lines import EventStreamParser, many, money, part, text

_TOOLS = ("Bash", "Edit", "Glob", "Grep", "Read", "Write")
_SETTINGS = {"disableAllHooks": True, "enableAllProjectMcpServers": False, "autoUpdates": False}


def _call(errand: AgentPrompt) -> AgentCommand:
    words = [
        *("-p", errand.task, "--model", errand.model, "--output-format", "stream-json", "--verbose"),
        *("--setting-sources", "user", "--strict-mcp-config", "--no-session-persistence", "--no-chrome"),
        *("--disable-slash-commands", "--tools", ",".join(_TOOLS)),
    ]
    if errand.budget.usd:
        words += ["--max-budget-usd", f"{errand.budget.usd:g}"]
    return AgentCommand(
        (*words, "--allowedTools", *_TOOLS),
        {
            "ANTHROPIC_API_KEY": "none",
            "ANTHROPIC_BASE_URL": errand.url,
            "ANTHROPIC_SMALL_FAST_MODEL": errand.model,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            "DISABLE_TELEMETRY": "1",
        },
        {".claude/settings.json": json.dumps(_SETTINGS).encode()},
    )


class ClaudeParser(EventStreamParser):
    """Its stream of JSON: the truth is in the last event, ``result``."""

    def take(self, said: dict[str, Any], heard: AgentEvent) -> None:
        """Take one event."""
        if said.get("type") == "assistant":
            for block in many(said, "message", "content"):
                heard.words = text(part(block, "text")) or heard.words
        elif said.get("type") == "result":
            result = text(said.get("result"))
            heard.ended = said.get("subtype") == "success" and said.get("is_error") is False
            heard.why = "" if heard.ended else result or text(said.get("subtype")) or "an error"
            heard.words = result or heard.words
            heard.usd = money(said.get("total_cost_usd"))
            heard.denied = tuple(text(part(one, "tool_name")) for one in many(said, "permission_denials"))


CLAUDE = AgentCliAdapter(
    name="claude-code",
    programs=("claude",),
    speaks="anthropic",
    get="npm install -g @anthropic-ai/claude-code",
    call=_call,
    ear=ClaudeParser,
    litter=(".claude", ".claude.json"),
)
