"""What somebody wrote at GitHub, read from JSON of the same shape in webhooks and in REST answers.

Deliveries are GitHub's and still only data: a value of the wrong type counts as one that is not there.
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
    """Where people write; with its number it names one text: ``issue_comment:492700400``."""

    COMMENT = "issue_comment"
    LINE = "review_comment"
    REVIEW = "review"


@dataclass(frozen=True, slots=True)
class CommentAuthor:
    """Who wrote it: `id` never changes, `login` is for showing. `person` is false for bots, apps and organisations."""

    id: int
    login: str
    person: bool


@dataclass(frozen=True, slots=True)
class CommentLocation:
    """The line of a file that a comment is about; `line` is None for a whole file or a line that is gone."""

    path: str
    line: int | None
    first_line: int | None
    old_side: bool
    hunk: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """``on docs/faq.md line 12``, in visible characters."""
        if self.line is None:
            return f"on {self.path}"
        many = self.first_line is not None and self.first_line != self.line
        lines = f"lines {self.first_line} to {self.line}" if many else f"line {self.line}"
        return f"on {self.path} {lines}{' of the old file' if self.old_side else ''}"

    @property
    def context(self) -> str:
        """The sentence, and below it the last lines of the diff that the comment hangs on."""
        return "\n".join([self.sentence, *(f"| {line}" for line in self.hunk)])


@dataclass(frozen=True, slots=True)
class WrittenComment:
    """One comment, line comment or review.

    `at` is when it was published, `changed_at` when it last changed. `review` is the review a line comment belongs to,
    `answers` the line comment that it answers, `state` a review's state in small letters.
    """

    kind: CommentKind
    id: int
    author: CommentAuthor
    body: str
    at: datetime
    changed_at: datetime
    number: int
    on_pull: bool
    spot: CommentLocation | None = None
    review: int | None = None
    answers: int | None = None
    state: str = ""

    @property
    def message_id(self) -> str:
        """The id that the port knows it by."""
        return f"{self.kind}:{self.id}"


def get_path(value: Any, *keys: str) -> Any:
    """What lies at the end of `keys` in nested objects; None where one of them is not there."""
    for key in keys:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def positive_int(value: Any) -> int | None:
    """A positive whole number, which every id and every line is, or None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63 else None


def parse_time(value: Any) -> datetime | None:
    """A time as GitHub writes it, ``2019-05-15T15:20:21Z``, or None."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
        return found.astimezone(UTC) if found.tzinfo else None
    except (ValueError, OverflowError):  # a zone can take the first and the last day beyond what there is
        return None


def clean_text(value: Any) -> str:
    """Somebody's words: LF at the ends of lines, and nothing that no store can keep (NUL, half a character)."""
    if not isinstance(value, str):
        return ""
    words = value.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")
    return words.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def read_comment(kind: CommentKind, value: Any, number: int | None, *, on_pull: bool) -> WrittenComment | None:
    """The comment or review in `value`; None where it lacks its id, its author, its place or its time."""
    number, found = positive_int(number), positive_int(get_path(value, "id"))
    author = _author(value)
    at = parse_time(get_path(value, "submitted_at" if kind is CommentKind.REVIEW else "created_at"))
    if number is None or found is None or author is None or at is None:
        return None
    changed_at = parse_time(get_path(value, "updated_at")) or at
    state = get_path(value, "state")
    return WrittenComment(
        kind=kind,
        id=found,
        author=author,
        body=clean_text(get_path(value, "body")),
        at=at,
        changed_at=max(at, changed_at),
        number=number,
        on_pull=on_pull,
        spot=_spot(value) if kind is CommentKind.LINE else None,
        review=positive_int(get_path(value, "pull_request_review_id")),
        answers=positive_int(get_path(value, "in_reply_to_id")),
        state=state.lower() if kind is CommentKind.REVIEW and isinstance(state, str) else "",
    )


def _author(value: Any) -> CommentAuthor | None:
    """Who wrote it. Words that an app wrote, in whosever name, are not a person's (security.md 11, 31)."""
    found, login = positive_int(get_path(value, "user", "id")), get_path(value, "user", "login")
    if found is None or not isinstance(login, str):
        return None
    by_app = get_path(value, "performed_via_github_app") is not None
    person = get_path(value, "user", "type") == "User" and not login.endswith("[bot]") and not by_app
    return CommentAuthor(found, visible(clean_text(login))[:100], person)


def _spot(value: Any) -> CommentLocation | None:
    path = get_path(value, "path")
    if not isinstance(path, str) or not path:
        return None
    hunk = get_path(value, "diff_hunk")
    last = clean_text(hunk).split("\n")[-_CONTEXT_LINES:] if isinstance(hunk, str) and hunk else []
    return CommentLocation(
        path=visible(clean_text(path))[:_PATH_CHARACTERS],
        line=positive_int(get_path(value, "line")) or positive_int(get_path(value, "original_line")),
        first_line=positive_int(get_path(value, "start_line")),
        old_side=get_path(value, "side") == "LEFT",
        hunk=tuple(visible(line.expandtabs(4)[:_CONTEXT_COLUMNS]) for line in last),
    )
