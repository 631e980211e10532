"""The names of the built-in executors; plugins may add more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

BUILT_IN: Final = frozenset({
    "edit", "command", "ollama", "workflow", "agent", "aider", "claude-code", "codex", "gemini-cli", "mini-swe-agent",
    "opencode",
})  # fmt: skip
"""The values of a lane's `executor` that need no plugin."""

STEPS: Final = (BUILT_IN - {"workflow"}) | {"check", "approval", "revert"}
"""The values of a step's `run` that need no plugin."""


def unknown_executor_message(name: str, known: Iterable[str]) -> str:
    """The message for an unknown executor."""
    return f"there is no executor {name[:60]}; there are: {', '.join(sorted(known))}"
