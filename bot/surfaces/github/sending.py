"""What we write at GitHub: one comment a task, edited in place; answers that quote; diffs."""

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
    utf16_length,
)
from bot.surfaces.port import Attachment, Place, RenderedCard
from core.model.errors import PermanentError

DIFF_MEDIA_TYPES: Final = ("text/x-diff", "text/x-patch")
_THREAD: Final = re.compile(r"(?:pull|issues)/([1-9][0-9]{0,17})")
_MESSAGE: Final = re.compile(r"(issue_comment|review_comment|review):([1-9][0-9]{0,18})")
_REVISION: Final = re.compile(r"<!-- countersign:revision:(\d+) -->")
_LOGIN: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})(?:_[A-Za-z0-9]{1,40})?")
_PIECE: Final = 6_000
"""Characters of an answer in one comment, before markup is added to it."""


@dataclass(slots=True)
class GitHubSender:
    """Writes comments through `comments`; one at a time, as GitHub asks of whoever writes much."""

    comments: CommentsClient
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def post(self, place: Place, drawn: RenderedCard) -> str:
        """The id of the task's comment there, which is made unless we made it before."""
        number = conversation_number(place)
        async with self._writing:
            return await self._keep(place.channel, number, _body(drawn))

    async def edit(self, place: Place, message_id: str, drawn: RenderedCard) -> str:
        """The id of the task's comment after it was changed; another one if the old was gone."""
        number, body = conversation_number(place), _body(drawn)
        found = parse_message_id(message_id)
        async with self._writing:
            ours = (
                await self.comments.ours(place.channel, found[1]) if found and found[0] is CommentKind.COMMENT else None
            )
            if ours is not None and await self._change(place.channel, ours, body):
                return message_id
            return await self._keep(place.channel, number, body)

    async def _keep(self, repository: str, number: int, body: str) -> str:
        ours = await self.comments.find(repository, number, body.partition("\n")[0])
        if ours is not None and await self._change(repository, ours, body):
            return f"{CommentKind.COMMENT}:{ours.id}"
        return f"{CommentKind.COMMENT}:{await self.comments.post(repository, number, body)}"

    async def _change(self, repository: str, ours: OwnComment, body: str) -> bool:
        """Let our comment say `body`, unless it does or says something newer; false when it is gone."""
        return not _worth(ours.body, body) or await self.comments.edit(repository, ours.id, body)

    async def attach(self, place: Place, files: Sequence[Attachment], words: str) -> list[str]:
        """Write each diff among `files` whole, in a comment of its own that opens with a click.

        GitHub's comments hold no files: a page made for reading is left out, for it says what the diff says. Raises
        `PermanentError` ``too_long_here`` before anything is written when a diff does not fit, and ``no_files_here``
        when there is none. Returns the comments' ids.
        """
        number = conversation_number(place)
        bodies = [_diff(file, words) for file in files if file.media_type in DIFF_MEDIA_TYPES]
        if not bodies:
            raise PermanentError("no_files_here", "A comment at GitHub cannot hold files", "Look at them elsewhere.")
        async with self._writing:
            return [await self._keep(place.channel, number, body) for body in bodies]

    async def say(
        self, place: Place, text: str, reply_to: str | None, mentions: Sequence[tuple[str, str]] = ()
    ) -> list[str]:
        """Answer a comment, quoting it; the same words are said once to it, whatever is tried again.

        What answers nothing, such as a reminder, is said each time. GitHub notifies whom a comment mentions, which
        stand at its end. Returns the comments' ids.
        """
        if not text.strip():
            return []
        number = conversation_number(place)
        quote = await self._quote(place, reply_to)
        called = await self._called(place, mentions)
        ids = []
        async with self._writing:
            pieces = list(_pieces(text))
            pieces[-1:] = ["\n\n".join([pieces[-1], *called])]
            for n, piece in enumerate(pieces):
                if reply_to is None:
                    ids.append(f"{CommentKind.COMMENT}:{await self.comments.post(place.channel, number, piece)}")
                    continue
                words = hashlib.sha256(f"{reply_to}\0{n}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
                marker = f"<!-- countersign:says:{words} -->"
                ids.append(await self._once(place.channel, number, "\n\n".join([marker, *quote[: n == 0], piece])))
        return ids

    async def _once(self, repository: str, number: int, body: str) -> str:
        ours = await self.comments.find(repository, number, body.partition("\n")[0])
        made = ours.id if ours is not None else await self.comments.post(repository, number, body)
        return f"{CommentKind.COMMENT}:{made}"

    async def _called(self, place: Place, mentions: Sequence[tuple[str, str]]) -> list[str]:
        """A line that mentions these people by the logins that they have today; none without any."""
        people = [int(identity) for _, identity in mentions if identity.isascii() and identity.isdecimal()]
        logins = [await self.comments.login(place.channel, person) for person in people]
        known = [login for login in logins if login and _LOGIN.fullmatch(login)]
        return [f"cc {' '.join(f'@{login}' for login in known)}"] if known else []

    async def _quote(self, place: Place, reply_to: str | None) -> list[str]:
        """Whom we answer and how they began, in a quote in which nothing acts."""
        found = parse_message_id(reply_to)
        if found is None:
            return []
        kind, comment = found
        number = conversation_number(place)
        if kind is CommentKind.REVIEW:
            review = await self.comments.review(place.channel, number, comment)
            written = review.review if review else None
        else:
            written = await self.comments.written(place.channel, kind, comment)
        if written is None or not written.author.person:
            return []
        first = next((line for line in written.body.split("\n") if line.strip()), "")
        return [f"> {escape_prose(written.author.login, 60)}: {escape_prose(truncate(first, 200), 200)}".rstrip(": ")]


def conversation_number(place: Place) -> int:
    """The number of the issue or pull request that a place is; raises `PermanentError` where it is none."""
    match = _THREAD.fullmatch(place.thread or "")
    if match is None:
        raise PermanentError("place_gone", "This is no issue or pull request", "Ask in a comment of one.")
    return int(match[1])


def parse_message_id(message_id: str | None) -> tuple[CommentKind, int] | None:
    """The kind and the number in a message's id; None for one that is not ours to know."""
    match = _MESSAGE.fullmatch(message_id or "")
    return (CommentKind(match[1]), int(match[2])) if match else None


def _pieces(text: str) -> Iterator[str]:
    """An answer as Markdown, in pieces that each fit in a comment; a diff stays one, line by line."""
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


def _body(drawn: RenderedCard) -> str:
    assert isinstance(drawn.payload, str)
    return drawn.payload


def _worth(old: str, new: str) -> bool:
    """Whether `new` should replace `old`: not when it says the same, nor when it is of an earlier revision."""
    had, has = _REVISION.search(old[:200]), _REVISION.search(new[:200])
    if had and has and int(had[1]) > int(has[1]):
        return False
    return old.strip() != new.strip()


def _diff(file: Attachment, words: str) -> str:
    content = hashlib.sha256(file.content).hexdigest()[:16]
    lines = [line.expandtabs(4) for line in file.content.decode("utf-8", "surrogateescape").split("\n")]
    lines = lines[:-1] if lines[-1] == "" else lines
    parts = [
        f"<!-- countersign:diff:{content} -->",
        escape_prose(words, 300),
        "<details><summary>Show it</summary>",
        code_block(lines, "diff"),
        "</details>",
    ]
    body = "\n\n".join(parts)
    if utf16_length(body) > MAX_CHARACTERS:
        raise PermanentError(
            "too_long_here",
            f"A comment at GitHub holds {MAX_CHARACTERS} characters, and the diff needs more",
            "Read and approve it on another surface, or ask for a smaller change.",
        )
    return body
