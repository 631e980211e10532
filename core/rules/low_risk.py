"""Which staged diffs may be approved several at a time: small, without a risky file, and with nothing to warn of.

Everything else has to be opened and approved by itself.
"""

from __future__ import annotations

from typing import Final

from core.model.approval import QuorumStatus
from core.model.risk import RiskLevel, risk_flags
from core.model.staged_diff import GuardVerdict, StagedDiff

MAX_FILES: Final = 5
MAX_LINES: Final = 60
"""Changed lines; a reviewer reads them in about five minutes."""
MAX_TOGETHER: Final = 20
"""Diffs on one page of confirmation."""


def why_alone(staged: StagedDiff, needs: QuorumStatus | None) -> str:
    """Why a staged diff has to be approved by itself, as the end of a sentence that begins with "it"; empty if not.

    `needs` are the approvals that it needs: one more has to suffice, so that the confirmation decides.
    """
    if needs is None or needs.count - len(needs.have) != 1:
        return "does not wait for exactly one more approval"
    findings = staged.guard.findings
    if any(finding.verdict is not GuardVerdict.PASS for finding in findings):
        return "has a warning of the guard"
    risky = next((f["path"] for f in staged.files if any(r is not RiskLevel.LOW for _, r in risk_flags(f))), None)
    if risky is not None:
        return f"changes {risky}, which needs a closer look"
    lines = sum((file["added"] or 0) + (file["removed"] or 0) for file in staged.files)
    if len(staged.files) > MAX_FILES or lines > MAX_LINES:
        return f"is larger than {MAX_FILES} files or {MAX_LINES} lines"
    return ""
