"""Combines the built-in guard with the guards of plugins, which can only add findings."""

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
from core.ports.policy import BlobReader, Guard

JUDGE_S: Final = 60.0
_MAX_FINDINGS: Final = 1000
_MAX_CHARS: Final = 500


class PluginGuards:
    """A `Guard` over the built-in one and those of plugins; a plugin that fails or times out blocks the change."""

    def __init__(self, builtin: Guard, extra: Mapping[str, ExtraGuard], *, judge_s: float = JUDGE_S) -> None:
        self._builtin = builtin
        self._extra = extra
        self._judge_s = judge_s

    async def judge(self, change: Change, lane: Lane, terms: ApprovalRequirements, read: BlobReader) -> GuardReport:
        """Our report first, then the findings of each plugin, under the plugin's name.

        A `CountersignError`, such as an unreadable blob, is raised to the caller: it is an error, not a verdict.
        """
        report = await self._builtin.judge(change, lane, terms, read)
        for name, guard in self._extra.items():
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
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            log.exception("guard_plugin_broke", plugin=name)
            return (_block(name, f"the plugin broke: {type(error).__name__}: {error}"),)

    async def masked(self, change: Change, patch: bytes, read: BlobReader) -> bytes:
        """The patch with our guard's redactions, and without the lines that a plugin says must not leave."""
        redacted = await self._builtin.masked(change, patch, read)
        text = await asyncio.to_thread(self._without_leaks, redacted.decode("utf-8", "surrogateescape"))
        return text.encode("utf-8", "surrogateescape")

    def mask(self, text: str) -> str:
        """`text` with the same redactions."""
        return self._without_leaks(self._builtin.mask(text))

    def _without_leaks(self, text: str) -> str:
        for name, guard in self._extra.items():
            if _leaks(name, guard, text):
                lines = [f"[redacted: {name}]" if _leaks(name, guard, line) else line for line in text.split("\n")]
                text = "\n".join(lines)
                text = f"[redacted: {name}]" if _leaks(name, guard, text) else text
        return text

    def leaks(self, text: str) -> bool:
        """Whether any guard says that `text` must not leave; a plugin that fails counts as yes."""
        return self._builtin.leaks(text) or any(_leaks(name, guard, text) for name, guard in self._extra.items())


def _leaks(name: str, guard: ExtraGuard, text: str) -> bool:
    check = getattr(guard, "leaks", None)
    if check is None:
        return False
    try:
        return bool(check(text))
    except Exception:  # noqa: BLE001 - a plugin may raise anything
        log.exception("guard_plugin_broke", plugin=name)
        return True


def _checked(report: object) -> tuple[Finding, ...]:
    if not isinstance(report, GuardReport):
        raise TypeError(f"it returned {type(report).__name__}, not a GuardReport")
    findings: tuple[Any, ...] = report.findings
    for finding in findings:
        if not isinstance(finding, Finding) or not _is_sound(finding):
            raise TypeError("it returned a finding that is not a Finding")
    if len(findings) > _MAX_FINDINGS:
        raise ValueError(f"it returned {len(findings):,} findings")
    return findings


def _is_sound(finding: Any) -> bool:
    texts = (finding.check, finding.detail, finding.path or "")
    return isinstance(finding.verdict, GuardVerdict) and all(isinstance(text, str) for text in texts)


def _named(name: str, finding: Finding) -> Finding:
    """The finding under the plugin's name, so that it cannot pass for one of our own checks."""
    check = name if finding.check == name else f"{name}/{finding.check}"
    return replace(finding, check=check[:_MAX_CHARS], detail=finding.detail[:_MAX_CHARS])


def _block(name: str, detail: str) -> Finding:
    return Finding(name, GuardVerdict.BLOCK, detail[:_MAX_CHARS])
