"""Writes at GitHub: one comment per task, edited in place; replies that quote; diffs."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from bot.surfaces.github.comment_text import CommentKind
from bot.surfaces.github.comments import CommentsClient, OwnComment
from bot.surfaces.github.markdown import (
    MAX_CHARACTERS,
    code_block,
    escape_paragraphs,
    escape_prose,
    truncate,
)
from bot.surfaces.port import Attachment, Place, RenderedCard
from bot.surfaces.utf16 import utf16_length
from core.model.errors import PermanentError

DIFF_MEDIA_TYPES: Final = ("text/x-diff", "text/x-patch")
_THREAD: Final = re.compile(r"(?:pull|issues)/([1-9][0-9]{0,17})")
_MESSAGE: Final = re.compile(r"(issue_comment|review_comment|review):([1-9][0-9]{0,18})")
_REVISION: Final = re.compile(r"<!-- countersign:revision:(\d+) -->")
_LOGIN: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})(?:_[A-Za-z0-9]{1,40})?")
_PIECE: Final = 6_000
"""Characters of a reply per comment, before markup is added."""


@dataclass(slots=True)
class GitHubSender:
    """Writes comments through `comments`, one at a time, as GitHub asks of frequent writers."""

    comments: CommentsClient
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def post(self, place: Place, rendered: RenderedCard) -> str:
        """Create the task's comment, or update the existing one; returns its id."""
        number = conversation_number(place)
        async with self._writing:
            return await self._upsert(place.channel, number, _body(rendered))

    async def edit(self, place: Place, message_id: str, rendered: RenderedCard) -> str:
        """Update the task's comment; returns its id, a new one if the old was gone."""
        number, body = conversation_number(place), _body(rendered)
        parts = parse_message_id(message_id)
        async with self._writing:
            existing = (
                await self.comments.own_comment(place.channel, parts[1])
                if parts and parts[0] is CommentKind.COMMENT
                else None
            )
            if existing is not None and await self._update(place.channel, existing, body):
                return message_id
            return await self._upsert(place.channel, number, body)

    async def _upsert(self, repository: str, number: int, body: str) -> str:
        existing = await self.comments.find_own(repository, number, body.partition("\n")[0])
        if existing is not None and await self._update(repository, existing, body):
            return f"{CommentKind.COMMENT}:{existing.id}"
        return f"{CommentKind.COMMENT}:{await self.comments.post(repository, number, body)}"

    async def _update(self, repository: str, existing: OwnComment, body: str) -> bool:
        """Give our comment the text `body`, unless it has it or is newer; returns false if it is gone."""
        return not _should_replace(existing.body, body) or await self.comments.edit(repository, existing.id, body)

    async def attach(self, place: Place, files: Sequence[Attachment], caption: str) -> list[str]:
        """Write each diff among `files` whole, each in a separate collapsed comment; returns the comments' ids.

        Comments cannot hold files: an HTML page of the diff is left out. Raises `PermanentError` ``too_long_here``
        before anything is written if a diff does not fit, and ``no_files_here`` if there is no diff.
        """
        number = conversation_number(place)
        bodies = [_diff(file, caption) for file in files if file.media_type in DIFF_MEDIA_TYPES]
        if not bodies:
            raise PermanentError(
                "no_files_here", "A GitHub comment cannot contain files", "Open them on another surface."
            )
        async with self._writing:
            return [await self._upsert(place.channel, number, body) for body in bodies]

    async def send_text(
        self, place: Place, text: str, reply_to: str | None, mentions: Sequence[tuple[str, str]] = ()
    ) -> list[str]:
        """Reply to a comment and quote it; a retry does not repeat the same text.

        A text that replies to nothing, such as a reminder, is written each time. GitHub notifies the mentioned people,
        who are named at the end. Returns the comments' ids.
        """
        if not text.strip():
            return []
        number = conversation_number(place)
        quote = await self._quote(place, reply_to)
        mention_line = await self._mention_line(place, mentions)
        ids = []
        async with self._writing:
            pieces = list(_pieces(text))
            pieces[-1:] = ["\n\n".join([pieces[-1], *mention_line])]
            for n, piece in enumerate(pieces):
                if reply_to is None:
                    ids.append(f"{CommentKind.COMMENT}:{await self.comments.post(place.channel, number, piece)}")
                    continue
                digest = hashlib.sha256(f"{reply_to}\0{n}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
                marker = f"<!-- countersign:says:{digest} -->"
                ids.append(await self._once(place.channel, number, "\n\n".join([marker, *quote[: n == 0], piece])))
        return ids

    async def _once(self, repository: str, number: int, body: str) -> str:
        existing = await self.comments.find_own(repository, number, body.partition("\n")[0])
        comment_id = existing.id if existing is not None else await self.comments.post(repository, number, body)
        return f"{CommentKind.COMMENT}:{comment_id}"

    async def _mention_line(self, place: Place, mentions: Sequence[tuple[str, str]]) -> list[str]:
        """A line that mentions these people by their current logins; empty without any."""
        people = [int(identity) for _, identity in mentions if identity.isascii() and identity.isdecimal()]
        logins = [await self.comments.login(place.channel, person) for person in people]
        current_logins = [login for login in logins if login and _LOGIN.fullmatch(login)]
        return [f"cc {' '.join(f'@{login}' for login in current_logins)}"] if current_logins else []

    async def _quote(self, place: Place, reply_to: str | None) -> list[str]:
        """The author of the comment replied to and how it begins, as an inert quote."""
        parts = parse_message_id(reply_to)
        if parts is None:
            return []
        kind, comment_id = parts
        number = conversation_number(place)
        if kind is CommentKind.REVIEW:
            review = await self.comments.review(place.channel, number, comment_id)
            comment = review.review if review else None
        else:
            comment = await self.comments.comment(place.channel, kind, comment_id)
        if comment is None or not comment.author.is_person:
            return []
        first = next((line for line in comment.body.split("\n") if line.strip()), "")
        return [f"> {escape_prose(comment.author.login, 60)}: {escape_prose(truncate(first, 200), 200)}".rstrip(": ")]


def conversation_number(place: Place) -> int:
    """The number of the issue or pull request; raises `PermanentError` if the place is neither."""
    match = _THREAD.fullmatch(place.thread or "")
    if match is None:
        raise PermanentError("place_gone", "This is not an issue or pull request", "Ask in a comment on one.")
    return int(match[1])


def parse_message_id(message_id: str | None) -> tuple[CommentKind, int] | None:
    """The kind and the number in a message id; None for an id of another form."""
    match = _MESSAGE.fullmatch(message_id or "")
    return (CommentKind(match[1]), int(match[2])) if match else None


def _pieces(text: str) -> Iterator[str]:
    """A reply as Markdown, in pieces that each fit into a comment; a diff is split between lines."""
    lines = [line[at : at + _PIECE] for line in text.split("\n") for at in range(0, max(1, len(line)), _PIECE)]
    starts, size = [0], 0
    for n, line in enumerate(lines):
        if size + len(line) > _PIECE:
            starts.append(n)
            size = 0
        size += len(line) + 1
    for start, end in pairwise([*starts, len(lines)]):
        part = lines[start:end]
        if any(part):
            yield code_block(part, "diff") if text.startswith("diff --git ") else escape_paragraphs("\n".join(part))


def _body(rendered: RenderedCard) -> str:
    assert isinstance(rendered.payload, str)
    return rendered.payload


def _should_replace(old: str, new: str) -> bool:
    """Whether `new` should replace `old`: not if it is equal, nor if it is of an earlier revision."""
    old_revision, new_revision = _REVISION.search(old[:200]), _REVISION.search(new[:200])
    if old_revision and new_revision and int(old_revision[1]) > int(new_revision[1]):
        return False
    return old.strip() != new.strip()


def _diff(file: Attachment, caption: str) -> str:
    content = hashlib.sha256(file.content).hexdigest()[:16]
    lines = [line.expandtabs(4) for line in file.content.decode("utf-8", "surrogateescape").split("\n")]
    lines = lines[:-1] if lines[-1] == "" else lines
    parts = [
        f"<!-- countersign:diff:{content} -->",
        escape_prose(caption, 300),
        "<details><summary>Show it</summary>",
        code_block(lines, "diff"),
        "</details>",
    ]
    body = "\n\n".join(parts)
    if utf16_length(body) > MAX_CHARACTERS:
        raise PermanentError(
            "too_long_here",
            f"A GitHub comment holds {MAX_CHARACTERS} characters, and the diff needs more",
            "Read and approve it on another surface, or ask for a smaller change.",
        )
    return body
