"""Adapter of Codex (npm ``@openai/codex``), with its own sandbox off inside ours; measured with 0.169.0.

Its exit code is not reliable: a turn that could write nothing ends with 0. With a dead server it retries forever.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lanes.agent_clis.adapter import AgentCliAdapter, AgentCommand, AgentPrompt, AgentReport
from lanes.agent_clis.stream_lines import EventStreamParser, text, value_at

# `projects`: settings in the repository's own .codex apply only to trusted folders, and this marks ours as untrusted
_CONFIG = """\
model = {model}
model_provider = "lane"
approval_policy = "never"
model_context_window = {context}
check_for_update_on_startup = false

[model_providers.lane]
name = "lane"
base_url = {url}
wire_api = "responses"
request_max_retries = 2
stream_max_retries = 2

[analytics]
enabled = false

[projects."/work"]
trust_level = "untrusted"
"""


def _command(prompt: AgentPrompt) -> AgentCommand:
    config = _CONFIG.format(
        model=json.dumps(prompt.model), context=prompt.context_tokens, url=json.dumps(f"{prompt.url}/v1")
    )
    args = ("exec", "--json", "--ephemeral", "--ignore-rules", "--skip-git-repo-check", "-s", "danger-full-access")
    return AgentCommand((*args, "--", prompt.task), {}, {".codex/config.toml": config.encode()})


class CodexParser(EventStreamParser):
    """Parses its JSON events: a turn succeeded when it completed and no later one failed."""

    def apply(self, event: dict[str, Any], report: AgentReport) -> None:
        """See `EventStreamParser.apply`."""
        kind = event.get("type")
        if kind == "item.completed" and value_at(event, "item", "type") == "agent_message":
            report.last_message = text(value_at(event, "item", "text")) or report.last_message
        elif kind == "turn.completed":
            report.succeeded, report.error = True, ""
        elif kind in ("turn.failed", "error"):
            report.succeeded = False
            report.error = text(value_at(event, "error", "message")) or text(event.get("message")) or report.error


def _find_binary(launcher: Path) -> Path | None:
    """The binary that the npm package's launcher starts."""
    for folder in (launcher.parents[1], *launcher.parents):
        for pattern in ("vendor/*/bin/codex", "node_modules/@openai/codex-linux-*/vendor/*/bin/codex"):
            if matches := sorted(folder.glob(pattern)):
                return matches[0]
        if folder.name == "node_modules":
            siblings = sorted(folder.glob("@openai/codex-linux-*/vendor/*/bin/codex"))
            return siblings[0] if siblings else None
    return None


CODEX = AgentCliAdapter(
    name="codex",
    program_names=("codex",),
    protocol="openai",
    install_hint="npm install -g @openai/codex",
    build_command=_command,
    new_parser=CodexParser,
    find_binary=_find_binary,
    leftovers=(".codex",),
)
