"""What this host has for commands, looked for once a process: to find a sandbox means to start it."""

from __future__ import annotations

from typing import Final

from core.model.errors import Problem
from lanes.sandbox import Sandbox, Sandboxes

SANDBOXES: Final = Sandboxes()
"""The sandboxes of this host, each looked for when a test first needs it."""


def sandbox_here() -> Sandbox | Problem:
    """The sandbox that lanes run their commands in by default, or why there is none."""
    return SANDBOXES.get("bwrap")
