"""What this host has for commands, looked for once a process: to find a sandbox means to start it."""

from __future__ import annotations

import functools

from core.model.errors import Problem
from lanes.sandbox import Sandbox, find_bwrap


@functools.cache
def sandbox_here() -> Sandbox | Problem:
    """The sandbox that lanes run their commands in by default, or why there is none."""
    return find_bwrap()
