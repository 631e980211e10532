"""The check `compiles`: a command that lanes share. It runs in the lane's sandbox, on a copy of the produced tree."""

from __future__ import annotations

from bot.plugins import PluginContext
from core.model.lane import LaneCheck

COMMAND = ("python3", "-m", "compileall", "-q", ".")


def make(context: PluginContext) -> LaneCheck:
    """The factory; its name is what people read on the card."""
    return LaneCheck(context.name, COMMAND, wall_s=120)
