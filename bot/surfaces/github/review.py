"""Combines a review and its line comments, with their files and lines, into one turn."""

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
"""How much later than the review its line comments may be timestamped: they are published one by one."""
MAX_LINES: Final = 100
"""Line comments of one review that are read."""
MAX_CHARACTERS: Final = 65_535
"""Characters of a review's whole text, as for any comment."""
_COMMANDS_WITH_TEXT: Final = ("/task", "/ask", "/reply", "/reject")


def add_line_comments(
    message: IncomingMessage, review: GitHubReview | None, accepted: DeliveryFilter
) -> IncomingMessage | None:
    """`message` with the line comments of its `review`; None if there is no text at all.

    The review's own text stays that of the verified delivery. A line comment counts as it was published: one that was
    changed since, by anyone, is left out and counted (security.md 47); one with a command was processed separately. A
    command that takes no text stays as it is.
    """
    if message.addressed and message.text.startswith("/") and not message.text.lower().startswith(_COMMANDS_WITH_TEXT):
        return message
    lines = [line for line in review.lines if _counts(line, message, accepted)] if review else []
    unchanged = [line for line in lines if review and line.changed_at <= review.review.published_at + PUBLISHING_DELAY]
    edited = len(lines) - len(unchanged)
    parts = [message.text, *(_turn(line) for line in unchanged[:MAX_LINES])]
    if len(unchanged) > MAX_LINES:
        parts.append(f"({len(unchanged) - MAX_LINES} more line comments are left out.)")
    if edited:
        parts.append(f"({edited} line comment{'s were' if edited > 1 else ' was'} edited since and left out.)")
    text = "\n\n".join(part for part in parts if part)[:MAX_CHARACTERS]
    if not text:
        return None
    count = f" with {len(unchanged)} line comment{'s' if len(unchanged) != 1 else ''}" if unchanged else ""
    return replace(message, text=text, context=f"{message.context or 'a review'}{count}")


def _counts(line: WrittenComment, message: IncomingMessage, accepted: DeliveryFilter) -> bool:
    if not line.author.is_person or str(line.author.id) != message.identity or not line.body.strip():
        return False
    github_input = find_input(line.body, accepted.name, accepted.commands)
    return not (github_input.commands or github_input.mention)


def _turn(line: WrittenComment) -> str:
    return f"O{(line.location.description if line.location else 'on a line')[1:]}:\n{line.body.strip()}"
