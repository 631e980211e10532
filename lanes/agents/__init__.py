"""Agent programs as executors: each described in a file of its own, all run in the sandbox behind the broker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from core.errors import Problem
from lanes.agents.aider import AIDER
from lanes.agents.claude import CLAUDE
from lanes.agents.cli import Cli
from lanes.agents.codex import CODEX
from lanes.agents.executor import AgentExecutor
from lanes.agents.gemini import GEMINI
from lanes.agents.generic import NAME
from lanes.agents.mini_swe import MINI_SWE
from lanes.agents.opencode import OPENCODE
from lanes.agents.program import Place, find_program
from lanes.models import Endpoint
from lanes.sandbox import Sandbox

CLIS: Final[tuple[Cli, ...]] = (CLAUDE, CODEX, AIDER, MINI_SWE, OPENCODE, GEMINI)
"""The programs that this version knows by name."""


def agent_executors(
    scratch: Path,
    endpoints: Mapping[str, Endpoint],
    find: Callable[[str], Sandbox | Problem],
    places: Mapping[str, Place],
) -> dict[str, AgentExecutor]:
    """Every agent program as an executor, by name, with the one that lanes describe themselves."""
    made = [AgentExecutor(cli, endpoints, find, scratch, places.get(cli.name)) for cli in CLIS]
    made.append(AgentExecutor(None, endpoints, find, scratch, places.get(NAME)))
    return {executor.name: executor for executor in made}


def agents_here(places: Mapping[str, Place]) -> frozenset[str]:
    """The capabilities that a node has by its agent programs, such as ``agent:codex``; a lane's own is always one."""
    here = {cli.name for cli in CLIS if not isinstance(find_program(cli, places.get(cli.name)), Problem)}
    return frozenset(f"agent:{name}" for name in (*here, NAME))


__all__ = ["CLIS", "NAME", "AgentExecutor", "Place", "agent_executors", "agents_here"]
