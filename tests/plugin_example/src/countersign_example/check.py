"""The check `ends-with-newline`: every text file does."""

from __future__ import annotations

from bot.plugins import PluginContext
from core.model.lane import LaneCheck

CODE = """
import pathlib, sys
files = [p for p in pathlib.Path(".").rglob("*") if p.is_file()]
bad = [str(p) for p in files if p.read_bytes()[-1:] not in (b"", b"\\n")]
print("looked at", len(files), "files")
sys.exit(", ".join(bad) + " do not end with a newline" if bad else 0)
"""


def make(context: PluginContext) -> LaneCheck:
    """The factory."""
    return LaneCheck(context.name, ("python3", "-c", CODE), wall_s=60)
