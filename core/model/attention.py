"""What a person can do whose turn it is, and about how long a review takes."""

from __future__ import annotations

from enum import StrEnum
from math import ceil
from typing import Final

from core.model.staged_diff import GuardVerdict, StagedDiff

LINES_A_MINUTE: Final = 12
"""Changed lines that a reviewer reads in a minute; reviews above some 500 lines an hour miss most defects
(https://static0.smartbear.co/support/media/resources/cc/book/code-review-cisco-case-study.pdf)."""
MINUTES_A_FILE: Final = 0.25
MINUTES_A_WARNING: Final = 1.0


class AttentionAction(StrEnum):
    """What a person can do who is in the attention set."""

    APPROVE = "approve"
    ANSWER = "answer"
    REPLY = "reply"
    MERGE = "merge"
    EXTEND = "extend"


def review_minutes(staged: StagedDiff) -> int:
    """About how many minutes it takes to review a staged diff, from its size and what the guard warns of; at least 1.

    A binary file has no lines and counts as a file with a warning.
    """
    lines = sum((file["added"] or 0) + (file["removed"] or 0) for file in staged.files)
    binaries = sum(1 for file in staged.files if file["added"] is None)
    warnings = sum(1 for finding in staged.guard.findings if finding.verdict is GuardVerdict.WARN)
    minutes = lines / LINES_A_MINUTE + len(staged.files) * MINUTES_A_FILE
    return max(1, ceil(minutes + (binaries + warnings) * MINUTES_A_WARNING))
