"""The input of every check, and helpers for its findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from core.model.change import ABSENT, FileChange
from core.model.lane import Lane, Limits
from core.model.staged_diff import Finding, GuardVerdict
from policies.globs import Globs

_ORDER = (GuardVerdict.BLOCK, GuardVerdict.WARN, GuardVerdict.PASS)

MAX_FINDINGS = 20
"""The most findings of one check that are listed; one more finding counts the rest."""


@dataclass(frozen=True, slots=True)
class Scope:
    """A change in a lane, with the globs and limits that apply to it."""

    files: tuple[FileChange, ...]
    lane: Lane
    limits: Limits
    write: Globs
    protect: Globs
    neighbours: Mapping[bytes, str] = field(default_factory=dict)

    @property
    def written(self) -> tuple[FileChange, ...]:
        """The files that exist after the change."""
        return tuple(f for f in self.files if f.mode != ABSENT)


def block(check: str, detail: str, file: FileChange | None = None) -> Finding:
    """A finding that blocks the change."""
    return Finding(check, GuardVerdict.BLOCK, detail, file.shown_path if file else None)


def warn(check: str, detail: str, file: FileChange | None = None) -> Finding:
    """A finding that the approver must see."""
    return Finding(check, GuardVerdict.WARN, detail, file.shown_path if file else None)


def passed(check: str, detail: str, file: FileChange | None = None) -> Finding:
    """The finding of a check without objections."""
    return Finding(check, GuardVerdict.PASS, detail, file.shown_path if file else None)


def capped(check: str, unsorted: Iterable[Finding], otherwise: str) -> list[Finding]:
    """At most `MAX_FINDINGS` findings, blocks first; without findings, one that passes with the text `otherwise`."""
    findings = sorted(unsorted, key=lambda f: _ORDER.index(f.verdict))
    if not findings:
        return [passed(check, otherwise)]
    rest = findings[MAX_FINDINGS:]
    if not rest:
        return findings
    worst = rest[0].verdict
    return [*findings[:MAX_FINDINGS], Finding(check, worst, f"and {len(rest)} more like these")]


def count(number: int | Sequence[object], noun: str) -> str:
    """A number with its noun: ``1 file``, ``3 files``."""
    n = number if isinstance(number, int) else len(number)
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
