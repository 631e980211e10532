"""Agent programs as executors: each described in a file of its own, all run in the sandbox behind the broker.

The executor, with the broker's HTTP server, is imported by whoever makes one: `lanes.agent_clis.executor`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from core.model.errors import Problem
from lanes.agent_clis.aider import AIDER
from lanes.agent_clis.claude import CLAUDE
from lanes.agent_clis.cli import AgentCliAdapter
from lanes.agent_clis.codex import CODEX
from lanes.agent_clis.gemini import GEMINI
from lanes.agent_clis.generic import NAME
from lanes.agent_clis.mini_swe import MINI_SWE
from lanes.agent_clis.opencode import OPENCODE
from lanes.agent_clis.program import ProgramPlace, find_program

CLIS: Final[tuple[AgentCliAdapter, ...]] = (CLAUDE, CODEX, AIDER, MINI_SWE, OPENCODE, GEMINI)
"""The programs that this version knows by name."""

NAMES: Final = (*(cli.name for cli in CLIS), NAME)
"""The names of all executors that run agent programs; the last one's program is described by each lane."""


def agents_here(places: Mapping[str, ProgramPlace]) -> frozenset[str]:
    """The capabilities that a node has by its agent programs, such as ``agent:codex``; a lane's own is always one."""
    here = {cli.name for cli in CLIS if not isinstance(find_program(cli, places.get(cli.name)), Problem)}
    return frozenset(f"agent:{name}" for name in (*here, NAME))


__all__ = ["CLIS", "NAME", "NAMES", "ProgramPlace", "agents_here"]
