"""Adapter of Claude Code (npm ``@anthropic-ai/claude-code``), which trusts no repository file; measured with 2.1.197.

Its exit code is not reliable: without permission it is 0, with nothing changed and `permission_denials` filled; with a
dead server its last event has ``subtype: success`` and ``is_error: true``.
"""

from __future__ import annotations

import json
from typing import Any

from lanes.agent_clis.adapter import AgentCliAdapter, AgentCommand, AgentPrompt, AgentReport
from lanes.agent_clis.stream_lines import EventStreamParser, dollars, list_at, text, value_at

_TOOLS = ("Bash", "Edit", "Glob", "Grep", "Read", "Write")
_SETTINGS = {"disableAllHooks": True, "enableAllProjectMcpServers": False, "autoUpdates": False}


def _command(prompt: AgentPrompt) -> AgentCommand:
    args = [
        *("-p", prompt.task, "--model", prompt.model, "--output-format", "stream-json", "--verbose"),
        *("--setting-sources", "user", "--strict-mcp-config", "--no-session-persistence", "--no-chrome"),
        *("--disable-slash-commands", "--tools", ",".join(_TOOLS)),
    ]
    if prompt.budget.usd:
        args += ["--max-budget-usd", f"{prompt.budget.usd:g}"]
    return AgentCommand(
        (*args, "--allowedTools", *_TOOLS),
        {
            "ANTHROPIC_API_KEY": "none",
            "ANTHROPIC_BASE_URL": prompt.url,
            "ANTHROPIC_SMALL_FAST_MODEL": prompt.model,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            "DISABLE_TELEMETRY": "1",
        },
        {".claude/settings.json": json.dumps(_SETTINGS).encode()},
    )


class ClaudeParser(EventStreamParser):
    """Parses its JSON events; the last one, ``result``, decides."""

    def apply(self, event: dict[str, Any], report: AgentReport) -> None:
        """See `EventStreamParser.apply`."""
        if event.get("type") == "assistant":
            for block in list_at(event, "message", "content"):
                report.last_message = text(value_at(block, "text")) or report.last_message
        elif event.get("type") == "result":
            result = text(event.get("result"))
            report.succeeded = event.get("subtype") == "success" and event.get("is_error") is False
            report.error = "" if report.succeeded else result or text(event.get("subtype")) or "an error"
            report.last_message = result or report.last_message
            report.cost_usd = dollars(event.get("total_cost_usd"))
            report.denied_tools = tuple(
                text(value_at(denial, "tool_name")) for denial in list_at(event, "permission_denials")
            )


CLAUDE = AgentCliAdapter(
    name="claude-code",
    program_names=("claude",),
    protocol="anthropic",
    install_hint="npm install -g @anthropic-ai/claude-code",
    build_command=_command,
    new_parser=ClaudeParser,
    leftovers=(".claude", ".claude.json"),
)
