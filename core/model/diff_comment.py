"""Comments on lines of a staged diff: collected as a draft for each person and digest, and sent as one turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final

from core.model.staged_diff import short_digest

MAX_COMMENTS: Final = 100
"""Comments in one draft."""
MAX_TEXT: Final = 4_000
"""Characters of one comment."""
MAX_QUOTE: Final = 300
"""Characters of a line that its comment quotes."""


class DiffSide(StrEnum):
    """The file before or after the change."""

    OLD = "old"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class LineAnchor:
    """A line of a diff: `path` as people see it, and its number from 1 on one side of the change."""

    path: str
    side: DiffSide
    line: int

    @property
    def label(self) -> str:
        """``config/app.yaml:3``, with a remark for a line of the file before the change."""
        before = " (before the change)" if self.side is DiffSide.OLD else ""
        return f"{self.path}:{self.line}{before}"


@dataclass(frozen=True, slots=True)
class LineComment:
    """What a person wrote on a line; `quote` is the line as it was shown, cut to `MAX_QUOTE` characters."""

    anchor: LineAnchor
    quote: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class CommentDraft:
    """The comments of one person on the diff `digest` of `revision` that were not sent yet, by file and line.

    `is_current` is false once the task has another diff; the quoted lines may then have changed.
    """

    digest: str
    revision: int
    is_current: bool
    comments: tuple[LineComment, ...]

    @property
    def dedup(self) -> str:
        """Identifies the draft as it is now, so that sending it twice counts once."""
        parts = [self.digest, *(f"{c.anchor.label}\0{c.text}\0{c.at.isoformat()}" for c in self.comments)]
        return f"comments {sha256(chr(0).join(parts).encode('utf-8', 'surrogatepass')).hexdigest()}"

    def as_turn(self, opening: str) -> str:
        """The text of the turn: `opening`, then each comment below the line that it is about."""
        about = f"On lines of revision {self.revision}, diff {short_digest(self.digest)}:"
        quoted = [f"{c.anchor.label}\n> {c.quote}\n{c.text}" for c in self.comments]
        return "\n\n".join(part for part in (opening.strip(), about, *quoted) if part)

    def as_requests(self, opening: str) -> str:
        """Only what the person wrote, one after the other: complete requests need no quotation."""
        return "\n".join(part for part in (opening.strip(), *(c.text for c in self.comments)) if part)


def in_order(comments: Sequence[LineComment]) -> tuple[LineComment, ...]:
    """The comments by file and line, the file before the change first."""
    return tuple(sorted(comments, key=lambda c: (c.anchor.path, c.anchor.line, c.anchor.side is DiffSide.NEW)))
