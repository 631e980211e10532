"""What every check is given, and how it answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from core.model.change import ABSENT, FileChange
from core.model.lane import Lane, Limits
from core.model.staged_diff import Finding, GuardVerdict
from policies.globs import Globs

MAX_FINDINGS = 20
"""Findings of one check that are listed; the rest is one more finding with their number."""


@dataclass(frozen=True, slots=True)
class Scope:
    """One change in one lane, with the globs and limits that hold for it."""

    files: tuple[FileChange, ...]
    lane: Lane
    limits: Limits
    write: Globs
    protect: Globs
    beside: Mapping[bytes, str] = field(default_factory=dict)

    @property
    def written(self) -> tuple[FileChange, ...]:
        """The files that are there after the change."""
        return tuple(f for f in self.files if f.mode != ABSENT)


def block(check: str, detail: str, file: FileChange | None = None) -> Finding:
    """A finding that stops the change."""
    return Finding(check, GuardVerdict.BLOCK, detail, file.shown_path if file else None)


def warn(check: str, detail: str, file: FileChange | None = None) -> Finding:
    """A finding that the approver must see."""
    return Finding(check, GuardVerdict.WARN, detail, file.shown_path if file else None)


def passed(check: str, detail: str) -> Finding:
    """The one finding of a check that has nothing to say against the change."""
    return Finding(check, GuardVerdict.PASS, detail)


def capped(check: str, found: Iterable[Finding], otherwise: str) -> list[Finding]:
    """At most `MAX_FINDINGS` of `found`, blocks first; `otherwise` passes when there are none."""
    findings = sorted(found, key=lambda f: f.verdict is not GuardVerdict.BLOCK)
    if not findings:
        return [passed(check, otherwise)]
    rest = findings[MAX_FINDINGS:]
    if not rest:
        return findings
    worst = GuardVerdict.BLOCK if any(f.verdict is GuardVerdict.BLOCK for f in rest) else GuardVerdict.WARN
    return [*findings[:MAX_FINDINGS], Finding(check, worst, f"and {len(rest)} more like these")]


def count(number: int | Sequence[object], what: str) -> str:
    """A number of things in words: ``1 file``, ``3 files``."""
    n = number if isinstance(number, int) else len(number)
    return f"{n:,} {what}{'' if n == 1 else 's'}"
