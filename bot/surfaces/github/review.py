"""A review as one turn: its own words, and its line comments with their files and lines."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from bot.surfaces.github.comment_text import WrittenComment
from bot.surfaces.github.comments import GitHubReview
from bot.surfaces.github.delivery import DeliveryFilter
from bot.surfaces.github.incoming import find_input
from bot.surfaces.port import IncomingMessage

PUBLISHING_DELAY: Final = timedelta(seconds=2)
"""How much later than the review its line comments may be stamped: they are published with it, one by one."""
MAX_LINES: Final = 100
"""Line comments of one review that are read."""
MAX_CHARACTERS: Final = 65_535
"""Of a review's words altogether, as of any comment's."""
_TAKE_WORDS: Final = ("/task", "/ask", "/reply", "/reject")


def add_line_comments(
    heard: IncomingMessage, review: GitHubReview | None, listening: DeliveryFilter
) -> IncomingMessage | None:
    """`heard` with the line comments of its `review`; None when nothing is said at all.

    The review's own words stay those of the verified delivery. A line comment counts as it was published: one that was
    changed since, by whomever, is left out and counted (security.md 47); one that has a command was heard by itself.
    A command that takes no words stays as it is.
    """
    if heard.addressed and heard.text.startswith("/") and not heard.text.lower().startswith(_TAKE_WORDS):
        return heard
    lines = [line for line in review.lines if _counts(line, heard, listening)] if review else []
    kept = [line for line in lines if review and line.changed_at <= review.review.at + PUBLISHING_DELAY]
    edited = len(lines) - len(kept)
    parts = [heard.text, *(_turn(line) for line in kept[:MAX_LINES])]
    if len(kept) > MAX_LINES:
        parts.append(f"({len(kept) - MAX_LINES} more line comments are left out.)")
    if edited:
        parts.append(f"({edited} line comment{'s were' if edited > 1 else ' was'} edited since and left out.)")
    text = "\n\n".join(part for part in parts if part)[:MAX_CHARACTERS]
    if not text:
        return None
    count = f" with {len(kept)} line comment{'s' if len(kept) != 1 else ''}" if kept else ""
    return replace(heard, text=text, context=f"{heard.context or 'a review'}{count}")


def _counts(line: WrittenComment, heard: IncomingMessage, listening: DeliveryFilter) -> bool:
    if not line.author.person or str(line.author.id) != heard.identity or not line.body.strip():
        return False
    said = find_input(line.body, listening.name, listening.commands)
    return not (said.commands or said.mention)


def _turn(line: WrittenComment) -> str:
    return f"O{(line.spot.sentence if line.spot else 'on a line')[1:]}:\n{line.body.strip()}"
