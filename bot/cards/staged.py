"""The staged part of a card: files, checks, risk, needed approvals and decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from bot.cards.parts import CheckRow, DecisionRow, FileRow, NeededApproval, StagedPart
from bot.cards.safe import one_line
from bot.cards.times import ago
from core.model.decision import PASSKEY, TOTP
from core.model.risk import RiskLevel, risk_flags, risk_level
from core.model.staged_diff import GuardVerdict, short_digest

_MAX_NAMED: Final = 6
"""People named before the others are counted."""
_STEP_UPS: Final = {PASSKEY: " by passkey", TOTP: " with a code of their app or a passkey"}
_SEVERITY: Final = (GuardVerdict.PASS, GuardVerdict.WARN, GuardVerdict.BLOCK)


def staged_part(document: Mapping[str, Any]) -> StagedPart | None:
    """The staged diff with its files, riskiest first, and its checks; None if nothing is staged."""
    staged = document["staged"]
    if staged is None:
        return None
    rows = [_row(row) for row in staged["files"]]
    order = {RiskLevel.HIGH: 0, RiskLevel.MEDIUM: 1, RiskLevel.LOW: 2}
    rows.sort(key=lambda row: order[row.level])
    return StagedPart(
        digest=staged["digest"],
        short_digest=short_digest(staged["digest"]),
        base=staged["base"],
        files=tuple(rows),
        added=sum(row.added or 0 for row in rows),
        removed=sum(row.removed or 0 for row in rows),
        checks=_checks(staged["guard"]),
    )


def _row(row: Mapping[str, Any]) -> FileRow:
    flags = risk_flags(row)
    names = tuple(dict.fromkeys(name for name, _ in flags))
    level = risk_level(flags, (), 1, 0)
    return FileRow(row["path"], row["status"], row["added"], row["removed"], names, level)


def _checks(findings: Iterable[Mapping[str, Any]]) -> tuple[CheckRow, ...]:
    """The findings grouped by check, in the guard's order; a passed check keeps a number as its note (118 tests)."""
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for finding in findings:
        grouped.setdefault(finding["check"], []).append(finding)
    checks = []
    for name, group in grouped.items():
        verdict = max((GuardVerdict(f["verdict"]) for f in group), key=_SEVERITY.index)
        details = tuple(_detail(f) for f in group if f["verdict"] != GuardVerdict.PASS)
        note = group[0]["detail"] if verdict is GuardVerdict.PASS and group[0]["detail"].isdecimal() else ""
        checks.append(CheckRow(name, verdict, details, note))
    return tuple(checks)


def _detail(finding: Mapping[str, Any]) -> str:
    detail = one_line(finding["detail"])
    path = finding["path"]
    return f"{path}: {detail}" if path and path not in detail else detail


def risk_of(staged: StagedPart | None) -> RiskLevel | None:
    """The risk of the whole change; None if nothing is staged."""
    if staged is None:
        return None
    weights = [("", row.level) for row in staged.files]
    lines = staged.added + staged.removed
    return risk_level(weights, (check.verdict for check in staged.checks), len(staged.files), lines)


def needed_approvals(document: Mapping[str, Any]) -> tuple[NeededApproval, ...]:
    """The approvals still needed; always at least one sentence, so that people see why no approval is requested."""
    rows = document["staged"]["needs"]
    if not rows:
        return (NeededApproval(0, (), (), "policy no longer allows this change"),)
    return tuple(
        NeededApproval(row["count"], tuple(row["of"]), tuple(row["have"]), _sentence(row, many=len(rows) > 1))
        for row in rows
    )


def _sentence(row: Mapping[str, Any], *, many: bool) -> str:
    approvers = f"of {_names(row['of'])}" if row["of"] else "approval, but no one may give it"
    have = f"; has {_names(row['have'])}" if row["have"] else ""
    rule = f" ({row['rule']})" if many else ""
    signed = _STEP_UPS.get(row.get("step_up", ""), "")
    return f"needs {row['count']} {approvers}{signed}{rule}{have}"


def _names(people: Sequence[str]) -> str:
    rest = len(people) - _MAX_NAMED
    return ", ".join(people) if rest <= 1 else f"{', '.join(people[:_MAX_NAMED])} and {rest} others"


def decisions_on(
    document: Mapping[str, Any], revision: int, staged: StagedPart | None, now: datetime
) -> tuple[DecisionRow, ...]:
    """The decisions on the staged diff; for an older revision's card, the decisions on that revision."""
    is_old = revision < int(document["revision"])
    return tuple(
        DecisionRow(
            decision["person"],
            decision["verdict"] == "approve",
            decision["surface"] + (" with a passkey" if decision.get("signature") else ""),
            ago(decision["at"], now),
            one_line(decision.get("reason", "")),
        )
        for decision in document["approvals"]
        if (
            decision.get("revision") == revision
            if is_old
            else staged is not None and decision["digest"] == staged.digest
        )
    )
