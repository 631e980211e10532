"""The executors that this version has, by name; plugins may add more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

BUILT_IN: Final = frozenset({
    "edit", "command", "ollama", "workflow", "agent", "aider", "claude-code", "codex", "gemini-cli", "mini-swe-agent",
    "opencode",
})  # fmt: skip
"""What a lane's `executor` may be without a plugin."""

STEPS: Final = (BUILT_IN - {"workflow"}) | {"check", "approval", "revert"}
"""What a step's `run` may be without a plugin."""


def no_such_executor(name: str, known: Iterable[str]) -> str:
    """The sentence about an executor that is not there."""
    return f"there is no executor {name[:60]}; there are: {', '.join(sorted(known))}"
