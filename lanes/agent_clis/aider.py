"""aider (PyPI ``aider-chat``), without git and without files of its own in the tree; measured with 0.86.2.

It speaks plain text and never says how it ended: whether the model answered is known to the broker.
"""

from __future__ import annotations

import re

from lanes.agent_clis.cli import HOME, AgentCliAdapter, AgentCommand, AgentEvent, AgentPrompt
from lanes.agent_clis.stream_lines import text

_OFF = (
    *("--no-git", "--yes-always", "--no-check-update", "--no-analytics", "--no-show-model-warnings"),
    *("--no-show-release-notes", "--no-pretty", "--no-stream", "--map-tokens", "0", "--no-gitignore"),
    *("--no-detect-urls", "--no-suggest-shell-commands", "--no-auto-lint", "--no-auto-test"),
)
_FILES = {
    "--chat-history-file": "chat.md",
    "--input-history-file": "input",
    "--model-settings-file": "models.yml",
    "--model-metadata-file": "models.json",
    "--env-file": "env",
    "--config": "config.yml",
    "--aiderignore": "ignored",
}

_EMPTY = {"models.json": b"{}\n", "models.yml": b"[]\n", "config.yml": b"{}\n"}
_COST = re.compile(r"^Tokens: .* Cost: .* message, \$(\d{1,6}(?:\.\d{1,9})?) session\.$", re.ASCII)


def _call(errand: AgentPrompt) -> AgentCommand:
    own = [word for option, name in _FILES.items() for word in (option, f"{HOME}/.lane/{name}")]
    return AgentCommand(
        ("--model", f"openai/{errand.model}", *_OFF, *own, "--edit-format", "diff", "--message", errand.task),
        {"OPENAI_API_BASE": f"{errand.url}/v1", "OPENAI_API_KEY": "none", "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        {f".lane/{name}": _EMPTY.get(name, b"") for name in _FILES.values()},
    )


class TextParser:
    """Plain text: its last lines are its last words; it says what it cost, and nothing of how it ended."""

    def __init__(self) -> None:
        self._last: list[str] = []
        self._usd: float | None = None

    def line(self, line: bytes) -> None:
        """Take one line."""
        if said := text(line.decode("utf-8", "replace")).strip():
            self._last = [*self._last[-4:], said[:300]]
            if cost := _COST.search(said):
                self._usd = float(cost[1])

    def heard(self) -> AgentEvent:
        """What it all came to."""
        return AgentEvent(words=" / ".join(self._last[-2:]), why=" / ".join(self._last[-3:]), usd=self._usd)


AIDER = AgentCliAdapter(
    name="aider",
    programs=("aider",),
    speaks="openai",
    get="pipx install aider-chat",
    call=_call,
    ear=TextParser,
    litter=(".aider.chat.history.md", ".aider.input.history", ".aider.tags.cache.v4", ".aider.tags.cache.v3"),
    transcript="transcript.txt",
)
