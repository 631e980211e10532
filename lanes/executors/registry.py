"""The executors that this version has, by the name that lane files use."""

from __future__ import annotations

from pathlib import Path

from core.errors import Kind, Problem
from core.ports import Executor
from lanes.executors.command import CommandExecutor
from lanes.executors.edit_lane import EditExecutor


def executors(scratch: Path) -> dict[str, Executor]:
    """Every executor by name; checkouts are made below `scratch` and do not outlive their work."""
    made: list[Executor] = [EditExecutor(), CommandExecutor(scratch)]
    return {executor.name: executor for executor in made}


def missing_executor(name: str) -> Problem:
    """What to tell about a lane whose executor is not here."""
    mend = "Lanes here work with `edit` and `command`; use one of them in the lane's file."
    return Problem(Kind.UNAVAILABLE, "no_executor", f"The executor {name!r} is not part of this installation", mend)
