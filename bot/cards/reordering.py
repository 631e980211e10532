"""Added lines of a diff whose characters change the direction of text, so that code reads differently than it runs."""

from __future__ import annotations

import re
from typing import Final

_REORDERING_LINE: Final = re.compile(
    rb"^\+[^\n]*?(?:\xd8\x9c|\xe2\x80[\x8e\x8f\xaa-\xae]|\xe2\x81[\xa6-\xa9])", re.MULTILINE
)
"""An added line with a character that changes text direction (U+061C, 200E-F, 202A-E, 2066-9)."""


def count_reordered(diff: bytes) -> int:
    """How many added lines of git's `diff` change the direction of text."""
    may_have = any(beginning in diff for beginning in (b"\xd8\x9c", b"\xe2\x80", b"\xe2\x81"))
    return len(_REORDERING_LINE.findall(diff)) if may_have else 0


def reordering_warning(lines: int) -> str:
    """The warning to read first, about code whose display order deceives (https://trojansource.codes).

    Empty if no line reorders text.
    """
    if not lines:
        return ""
    subject = f"{lines} added line{' hides' if lines == 1 else 's hide'}"
    return f"DANGER: {subject} characters that reorder text. Elsewhere the code reads differently from how it runs."
