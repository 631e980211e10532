"""Codex (npm ``@openai/codex``), its own sandbox off inside ours; measured with 0.169.0.

Its exit code says nothing: a turn that could write nothing ends with 0. With a dead server it asks on and on.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lanes.agent_clis.cli import AgentCliAdapter, AgentCommand, AgentEvent, AgentPrompt
from lanes.agent_clis.stream_lines import EventStreamParser, part, text

# `projects`: what the repository's own .codex says counts for folders that somebody trusts, and nobody does here
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


def _call(errand: AgentPrompt) -> AgentCommand:
    config = _CONFIG.format(
        model=json.dumps(errand.model), context=errand.context_tokens, url=json.dumps(f"{errand.url}/v1")
    )
    words = ("exec", "--json", "--ephemeral", "--ignore-rules", "--skip-git-repo-check", "-s", "danger-full-access")
    return AgentCommand((*words, "--", errand.task), {}, {".codex/config.toml": config.encode()})


class CodexParser(EventStreamParser):
    """Its stream of JSON: a turn is good when it was completed and none failed after it."""

    def take(self, said: dict[str, Any], heard: AgentEvent) -> None:
        """Take one event."""
        kind = said.get("type")
        if kind == "item.completed" and part(said, "item", "type") == "agent_message":
            heard.words = text(part(said, "item", "text")) or heard.words
        elif kind == "turn.completed":
            heard.ended, heard.why = True, ""
        elif kind in ("turn.failed", "error"):
            heard.ended = False
            heard.why = text(part(said, "error", "message")) or text(said.get("message")) or heard.why


def _inner(launcher: Path) -> Path | None:
    """The binary behind the launcher of the npm package."""
    for folder in (launcher.parents[1], *launcher.parents):
        for place in ("vendor/*/bin/codex", "node_modules/@openai/codex-linux-*/vendor/*/bin/codex"):
            if found := sorted(folder.glob(place)):
                return found[0]
        if folder.name == "node_modules":
            sibling = sorted(folder.glob("@openai/codex-linux-*/vendor/*/bin/codex"))
            return sibling[0] if sibling else None
    return None


CODEX = AgentCliAdapter(
    name="codex",
    programs=("codex",),
    speaks="openai",
    get="npm install -g @openai/codex",
    call=_call,
    ear=CodexParser,
    inner=_inner,
    litter=(".codex",),
)
