"""Adapter of aider (PyPI ``aider-chat``), run without git and without its files in the tree; measured with 0.86.2.

It prints plain text and does not report whether it succeeded; the broker's record of the model's answers decides.
"""

from __future__ import annotations

import re

from lanes.agent_clis.adapter import HOME, AgentCliAdapter, AgentCommand, AgentPrompt, AgentReport
from lanes.agent_clis.stream_lines import text

_SWITCHES = (
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

_FILE_CONTENTS = {"models.json": b"{}\n", "models.yml": b"[]\n", "config.yml": b"{}\n"}
_COST = re.compile(r"^Tokens: .* Cost: .* message, \$(\d{1,6}(?:\.\d{1,9})?) session\.$", re.ASCII)


def _command(prompt: AgentPrompt) -> AgentCommand:
    file_options = [argument for option, name in _FILES.items() for argument in (option, f"{HOME}/.lane/{name}")]
    return AgentCommand(
        (
            "--model",
            f"openai/{prompt.model}",
            *_SWITCHES,
            *file_options,
            "--edit-format",
            "diff",
            "--message",
            prompt.task,
        ),
        {"OPENAI_API_BASE": f"{prompt.url}/v1", "OPENAI_API_KEY": "none", "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        {f".lane/{name}": _FILE_CONTENTS.get(name, b"") for name in _FILES.values()},
    )


class TextParser:
    """Parses plain text: the last lines are the summary; the cost is reported, success is not."""

    def __init__(self) -> None:
        self._last_lines: list[str] = []
        self._cost_usd: float | None = None

    def feed(self, line: bytes) -> None:
        """See `EventParser.feed`."""
        if stripped := text(line.decode("utf-8", "replace")).strip():
            self._last_lines = [*self._last_lines[-4:], stripped[:300]]
            if cost := _COST.search(stripped):
                self._cost_usd = float(cost[1])

    def report(self) -> AgentReport:
        """See `EventParser.report`."""
        return AgentReport(
            last_message=" / ".join(self._last_lines[-2:]),
            error=" / ".join(self._last_lines[-3:]),
            cost_usd=self._cost_usd,
        )


AIDER = AgentCliAdapter(
    name="aider",
    program_names=("aider",),
    protocol="openai",
    install_hint="pipx install aider-chat",
    build_command=_command,
    new_parser=TextParser,
    leftovers=(".aider.chat.history.md", ".aider.input.history", ".aider.tags.cache.v4", ".aider.tags.cache.v3"),
    transcript_name="transcript.txt",
)
