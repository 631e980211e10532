"""Agent programs as executors: each described in a file of its own, all run in the sandbox behind the broker.

The executor, with the broker's HTTP server, is imported by whoever makes one: `lanes.agents.executor`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from core.errors import Problem
from lanes.agents.aider import AIDER
from lanes.agents.claude import CLAUDE
from lanes.agents.cli import Cli
from lanes.agents.codex import CODEX
from lanes.agents.gemini import GEMINI
from lanes.agents.generic import NAME
from lanes.agents.mini_swe import MINI_SWE
from lanes.agents.opencode import OPENCODE
from lanes.agents.program import Place, find_program

CLIS: Final[tuple[Cli, ...]] = (CLAUDE, CODEX, AIDER, MINI_SWE, OPENCODE, GEMINI)
"""The programs that this version knows by name."""

NAMES: Final = (*(cli.name for cli in CLIS), NAME)
"""The names of all executors that run agent programs; the last one's program is described by each lane."""


def agents_here(places: Mapping[str, Place]) -> frozenset[str]:
    """The capabilities that a node has by its agent programs, such as ``agent:codex``; a lane's own is always one."""
    here = {cli.name for cli in CLIS if not isinstance(find_program(cli, places.get(cli.name)), Problem)}
    return frozenset(f"agent:{name}" for name in (*here, NAME))


__all__ = ["CLIS", "NAME", "NAMES", "Place", "agents_here"]
