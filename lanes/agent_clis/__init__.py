"""Coding-agent programs as executors: one adapter a file, all run in the sandbox behind the egress broker.

Import the executor from `lanes.agent_clis.executor`, which loads the broker's HTTP server.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from core.model.errors import Problem
from lanes.agent_clis.adapter import AgentCliAdapter
from lanes.agent_clis.aider import AIDER
from lanes.agent_clis.claude import CLAUDE
from lanes.agent_clis.codex import CODEX
from lanes.agent_clis.gemini import GEMINI
from lanes.agent_clis.generic import NAME
from lanes.agent_clis.mini_swe import MINI_SWE
from lanes.agent_clis.opencode import OPENCODE
from lanes.agent_clis.program import ProgramPlace, find_program

ADAPTERS: Final[tuple[AgentCliAdapter, ...]] = (CLAUDE, CODEX, AIDER, MINI_SWE, OPENCODE, GEMINI)
"""The agent programs that have an adapter."""

NAMES: Final = (*(cli.name for cli in ADAPTERS), NAME)
"""The names of all agent executors; the last one runs a program that the lane's file describes."""


def agent_capabilities(places: Mapping[str, ProgramPlace]) -> frozenset[str]:
    """The capabilities of a node's installed agent programs, such as ``agent:codex``; ``agent:agent`` is always one."""
    installed = {cli.name for cli in ADAPTERS if not isinstance(find_program(cli, places.get(cli.name)), Problem)}
    return frozenset(f"agent:{name}" for name in (*installed, NAME))


__all__ = ["ADAPTERS", "NAME", "NAMES", "ProgramPlace", "agent_capabilities"]
