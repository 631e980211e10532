"""The guard `no-todo`: a change adds no open tasks."""

from __future__ import annotations

from collections.abc import Sequence

from bot.plugins import ExtraGuard, PluginContext
from core.model.change import Change, FileChange
from core.model.decision import ApprovalRequirements
from core.model.errors import UsageError
from core.model.lane import Lane
from core.model.staged_diff import Finding, GuardReport, GuardVerdict
from core.ports import BlobReader

CHECK = "no-todo"


class NoTodo:
    """Blocks files with more lines that hold a marker than before."""

    def __init__(self, markers: Sequence[str]) -> None:
        self._markers = tuple(marker.encode() for marker in markers)

    async def judge(
        self, change: Change, lane: Lane, requirements: ApprovalRequirements, read: BlobReader
    ) -> GuardReport:
        """One finding for each file that is worse than it was, or one that says all is well."""
        worse = [file for file in change.files if await self._count(file.new_blob, read) > await self._old(file, read)]
        if not worse:
            return GuardReport((Finding(CHECK, GuardVerdict.PASS, "no open tasks were added"),))
        return GuardReport(
            tuple(Finding(CHECK, GuardVerdict.BLOCK, "adds an open task", file.shown_path) for file in worse)
        )

    async def _old(self, file: FileChange, read: BlobReader) -> int:
        return await self._count(file.old_blob, read)

    async def _count(self, blob: str | None, read: BlobReader) -> int:
        if blob is None:
            return 0
        lines = (await read(blob)).splitlines()
        return sum(any(marker in line for marker in self._markers) for line in lines)


def make(context: PluginContext) -> ExtraGuard:
    """The factory. `markers` is a list of words, TODO unless it is said.

    A wrong setting raises an error of `core.model.errors`: what is wrong, and how to mend it. People read it as it is.
    """
    markers = context.settings.get("markers", ["TODO"])
    if not isinstance(markers, list) or not markers or not all(isinstance(word, str) and word for word in markers):
        raise UsageError("bad_setting", "`markers` is no list of words", "Write for example: markers: [TODO, FIXME].")
    return NoTodo(markers)
