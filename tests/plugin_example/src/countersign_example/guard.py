"""The guard `no-shouting`: some files may not be written in capitals, and no title may shout the secret word."""

from __future__ import annotations

from collections.abc import Sequence

from bot.plugins import ExtraGuard, PluginContext
from core.model.change import Change
from core.model.decision import ApprovalRequirements
from core.model.lane import Lane
from core.model.staged_diff import Finding, GuardReport, GuardVerdict
from core.ports.policy import BlobReader


class NoShouting:
    """Blocks files of `quiet` that are all in capitals."""

    def __init__(self, quiet: Sequence[str], hush: str) -> None:
        self._quiet = frozenset(quiet)
        self._hush = hush

    async def judge(self, change: Change, lane: Lane, terms: ApprovalRequirements, read: BlobReader) -> GuardReport:
        findings = []
        for file in change.files:
            path = file.shown_path
            if path in self._quiet and file.new_blob is not None and (await read(file.new_blob)).decode().isupper():
                findings.append(Finding("loud", GuardVerdict.BLOCK, "is all in capitals", path))
        return GuardReport(tuple(findings) or (Finding("loud", GuardVerdict.PASS, "nobody shouts"),))

    def leaks(self, text: str) -> bool:
        return bool(self._hush) and self._hush in text


def make(context: PluginContext) -> ExtraGuard:
    """The factory; the setting `quiet` is a list of paths, `hush` a word that may not leave for the forge."""
    return NoShouting(context.settings.get("quiet", ()), str(context.settings.get("hush", "")))
