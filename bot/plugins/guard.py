"""Our guard and those of plugins as one: what they find is added to ours, and nothing of ours is taken away."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from bot.plugins.ports import ExtraGuard
from core.log import log
from core.model.change import Change
from core.model.decision import ApprovalRequirements
from core.model.errors import CountersignError
from core.model.lane import Lane
from core.model.staged_diff import Finding, GuardReport, GuardVerdict
from core.ports import BlobReader, Guard

JUDGE_S: Final = 60.0
_MOST_FINDINGS: Final = 1000
_MOST_CHARS: Final = 500


class PluginGuards:
    """`core.ports.Guard`. A plugin that breaks, or does not answer, blocks: it was enabled to be asked."""

    def __init__(self, ours: Guard, more: Mapping[str, ExtraGuard], *, judge_s: float = JUDGE_S) -> None:
        self._ours = ours
        self._more = more
        self._judge_s = judge_s

    async def judge(self, change: Change, lane: Lane, terms: ApprovalRequirements, read: BlobReader) -> GuardReport:
        """Our report first, then what each plugin finds, under the plugin's name.

        Errors that say what to do, such as a blob that cannot be read, pass through: they are faults, no verdicts.
        """
        report = await self._ours.judge(change, lane, terms, read)
        for name, guard in self._more.items():
            report = report.beside(await self._findings(name, guard, change, lane, terms, read))
        return report

    async def _findings(
        self, name: str, guard: ExtraGuard, change: Change, lane: Lane, terms: ApprovalRequirements, read: BlobReader
    ) -> tuple[Finding, ...]:
        try:
            async with asyncio.timeout(self._judge_s):
                report = await guard.judge(change, lane, terms, read)
            return tuple(_named(name, finding) for finding in _checked(report))
        except CountersignError:
            raise
        except TimeoutError:
            return (_block(name, f"the plugin did not answer within {self._judge_s:g} s"),)
        except Exception as error:  # noqa: BLE001 - somebody else's code may raise anything
            log.exception("guard_plugin_broke", plugin=name)
            return (_block(name, f"the plugin broke: {type(error).__name__}: {error}"),)

    async def masked(self, change: Change, patch: bytes, read: BlobReader) -> bytes:
        """The patch as ours shows it, without the lines that a plugin says must not leave."""
        shown = await self._ours.masked(change, patch, read)
        text = await asyncio.to_thread(self._without_leaks, shown.decode("utf-8", "surrogateescape"))
        return text.encode("utf-8", "surrogateescape")

    def mask(self, text: str) -> str:
        """The same for a text."""
        return self._without_leaks(self._ours.mask(text))

    def _without_leaks(self, text: str) -> str:
        for name, guard in self._more.items():
            if _leaks(name, guard, text):
                lines = [f"[redacted: {name}]" if _leaks(name, guard, line) else line for line in text.split("\n")]
                text = "\n".join(lines)
                text = f"[redacted: {name}]" if _leaks(name, guard, text) else text
        return text

    def leaks(self, text: str) -> bool:
        """Whether any of them says that `text` must not leave; one that breaks says so too."""
        return self._ours.leaks(text) or any(_leaks(name, guard, text) for name, guard in self._more.items())


def _leaks(name: str, guard: ExtraGuard, text: str) -> bool:
    ask = getattr(guard, "leaks", None)
    if ask is None:
        return False
    try:
        return bool(ask(text))
    except Exception:  # noqa: BLE001 - the same
        log.exception("guard_plugin_broke", plugin=name)
        return True


def _checked(report: object) -> tuple[Finding, ...]:
    if not isinstance(report, GuardReport):
        raise TypeError(f"it returned {type(report).__name__}, no GuardReport")
    found: tuple[Any, ...] = report.findings
    for finding in found:
        if not isinstance(finding, Finding) or not _is_sound(finding):
            raise TypeError("it returned a finding that is none")
    if len(found) > _MOST_FINDINGS:
        raise ValueError(f"it returned {len(found):,} findings")
    return found


def _is_sound(finding: Any) -> bool:
    texts = (finding.check, finding.detail, finding.path or "")
    return isinstance(finding.verdict, GuardVerdict) and all(isinstance(text, str) for text in texts)


def _named(name: str, finding: Finding) -> Finding:
    """The finding under the plugin's name, so that none looks like one of our own checks."""
    check = name if finding.check == name else f"{name}/{finding.check}"
    return replace(finding, check=check[:_MOST_CHARS], detail=finding.detail[:_MOST_CHARS])


def _block(name: str, detail: str) -> Finding:
    return Finding(name, GuardVerdict.BLOCK, detail[:_MOST_CHARS])
