"""Parses comments and reviews from JSON, which has the same shape in webhooks and REST responses.

Deliveries come from GitHub and are still only data: a value of the wrong type counts as missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from bot.cards.safe import visible

_CONTEXT_LINES: Final = 5
_CONTEXT_COLUMNS: Final = 200
_PATH_CHARACTERS: Final = 300


class CommentKind(StrEnum):
    """The kind of a text; with its number it identifies one: ``issue_comment:492700400``."""

    COMMENT = "issue_comment"
    LINE = "review_comment"
    REVIEW = "review"


@dataclass(frozen=True, slots=True)
class CommentAuthor:
    """The author: `id` never changes, `login` is for display; `is_person` is false for bots, apps and organisations."""

    id: int
    login: str
    is_person: bool


@dataclass(frozen=True, slots=True)
class CommentLocation:
    """The line of a file that a comment is about; `line` is None for a whole file or a deleted line."""

    path: str
    line: int | None
    first_line: int | None
    is_old_side: bool
    hunk: tuple[str, ...]

    @property
    def description(self) -> str:
        """For example ``on docs/faq.md line 12``, in visible characters."""
        if self.line is None:
            return f"on {self.path}"
        is_range = self.first_line is not None and self.first_line != self.line
        lines = f"lines {self.first_line} to {self.line}" if is_range else f"line {self.line}"
        return f"on {self.path} {lines}{' of the old file' if self.is_old_side else ''}"

    @property
    def context(self) -> str:
        """The description, and below it the last lines of the diff that the comment refers to."""
        return "\n".join([self.description, *(f"| {line}" for line in self.hunk)])


@dataclass(frozen=True, slots=True)
class WrittenComment:
    """One comment, line comment or review.

    `published_at` is when it was published, `changed_at` when it last changed. `review_id` is the review of a line
    comment, `reply_to_id` the line comment that it replies to, `state` a review's state in lower case.
    """

    kind: CommentKind
    id: int
    author: CommentAuthor
    body: str
    published_at: datetime
    changed_at: datetime
    number: int
    is_on_pull_request: bool
    location: CommentLocation | None = None
    review_id: int | None = None
    reply_to_id: int | None = None
    state: str = ""

    @property
    def message_id(self) -> str:
        """Its message id for the port."""
        return f"{self.kind}:{self.id}"


def get_path(value: Any, *keys: str) -> Any:
    """The value at the end of `keys` in nested objects; None if one of them is missing."""
    for key in keys:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def positive_int(value: Any) -> int | None:
    """A positive integer, which every id and line number is, or None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63 else None


def parse_time(value: Any) -> datetime | None:
    """A time in GitHub's format, ``2019-05-15T15:20:21Z``, or None."""
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
        return parsed.astimezone(UTC) if parsed.tzinfo else None
    except (ValueError, OverflowError):  # a zone can move the first or last day out of range
        return None


def clean_text(value: Any) -> str:
    """User text with LF line ends, and without characters that no store can hold (NUL, lone surrogates)."""
    if not isinstance(value, str):
        return ""
    cleaned = value.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")
    return cleaned.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def read_comment(kind: CommentKind, value: Any, number: int | None, *, on_pull: bool) -> WrittenComment | None:
    """The comment or review in `value`; None if its id, author, conversation or time is missing."""
    number, comment_id = positive_int(number), positive_int(get_path(value, "id"))
    author = _author(value)
    published_at = parse_time(get_path(value, "submitted_at" if kind is CommentKind.REVIEW else "created_at"))
    if number is None or comment_id is None or author is None or published_at is None:
        return None
    changed_at = parse_time(get_path(value, "updated_at")) or published_at
    state = get_path(value, "state")
    return WrittenComment(
        kind=kind,
        id=comment_id,
        author=author,
        body=clean_text(get_path(value, "body")),
        published_at=published_at,
        changed_at=max(published_at, changed_at),
        number=number,
        is_on_pull_request=on_pull,
        location=_location(value) if kind is CommentKind.LINE else None,
        review_id=positive_int(get_path(value, "pull_request_review_id")),
        reply_to_id=positive_int(get_path(value, "in_reply_to_id")),
        state=state.lower() if kind is CommentKind.REVIEW and isinstance(state, str) else "",
    )


def _author(value: Any) -> CommentAuthor | None:
    """The author. Text that an app wrote in a person's name does not count as a person's (security.md 11, 31)."""
    user_id, login = positive_int(get_path(value, "user", "id")), get_path(value, "user", "login")
    if user_id is None or not isinstance(login, str):
        return None
    by_app = get_path(value, "performed_via_github_app") is not None
    is_person = get_path(value, "user", "type") == "User" and not login.endswith("[bot]") and not by_app
    return CommentAuthor(user_id, visible(clean_text(login))[:100], is_person)


def _location(value: Any) -> CommentLocation | None:
    path = get_path(value, "path")
    if not isinstance(path, str) or not path:
        return None
    hunk = get_path(value, "diff_hunk")
    lines = clean_text(hunk).split("\n")[-_CONTEXT_LINES:] if isinstance(hunk, str) and hunk else []
    return CommentLocation(
        path=visible(clean_text(path))[:_PATH_CHARACTERS],
        line=positive_int(get_path(value, "line")) or positive_int(get_path(value, "original_line")),
        first_line=positive_int(get_path(value, "start_line")),
        is_old_side=get_path(value, "side") == "LEFT",
        hunk=tuple(visible(line.expandtabs(4)[:_CONTEXT_COLUMNS]) for line in lines),
    )
