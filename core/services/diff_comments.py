"""Collects what a person writes on lines of a staged diff, until they send all of it as one reply."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import Final

from core.model.diff_comment import (
    MAX_COMMENTS,
    MAX_QUOTE,
    MAX_TEXT,
    CommentDraft,
    LineAnchor,
    LineComment,
    in_order,
)
from core.model.errors import ConflictError, RefusedError, UsageError
from core.model.task import Task
from core.model.turn import Actor
from core.rules.authorization import Authorization
from core.rules.visibility import visible_task
from core.services.request_checks import checked_text
from core.services.requests import Requests
from core.settings import SettingsSource
from core.store import diff_comments
from core.store.comment_table import DiffCommentRow
from core.store.database import Database, to_ms
from core.store.unit_of_work import Tx, reads, writes

KEPT: Final = timedelta(days=30)
"""How long a comment that was not sent is stored after its last change."""


@dataclass(frozen=True, slots=True)
class DiffComments:
    """Drafts of comments on lines. Only their writer sees them, and nothing happens to a task before they are sent."""

    database: Database
    settings: SettingsSource
    requests: Requests

    @reads
    async def drafts(self, tx: Tx, number: int, actor: Actor) -> tuple[CommentDraft, ...]:
        """The drafts of `actor` on a task: that of the current diff first, then the newest; none for the operator."""
        task = await visible_task(tx, self.settings(), number, actor)
        return await _drafts(tx, task, actor.person) if actor.person is not None else ()

    @writes
    async def put(
        self, tx: Tx, number: int, digest: str, anchor: LineAnchor, quote: str, text: str, actor: Actor
    ) -> None:
        """Add a comment on a line of the current diff, or replace the one that is there.

        `quote` is the line as it was shown. Raises `ConflictError` if `digest` is not the current diff any more,
        `UsageError` for a text that is empty or too long or one comment too many, and what a reply would raise.
        """
        person = _person(actor)
        task = await visible_task(tx, self.settings(), number, actor)
        await Authorization(self.settings).check_speaking(tx, task, actor, picks=False)
        if task.staged is None or task.staged.digest != digest:
            raise ConflictError("stale_digest", f"that is not the current diff of #{number}", "Open the task again.")
        known = await diff_comments.get(tx, number, person, digest, anchor)
        if known is None and await diff_comments.count(tx, number, person, digest) >= MAX_COMMENTS:
            raise UsageError("many_comments", f"a reply has at most {MAX_COMMENTS} comments", "Send these first.")
        await diff_comments.remove_before(tx, tx.now_ms - round(KEPT.total_seconds() * 1000))
        row = DiffCommentRow(
            person=person,
            number=number,
            digest=digest,
            path=anchor.path,
            side=anchor.side.value,
            line=anchor.line,
            revision=task.revision,
            quote=quote[:MAX_QUOTE] + ("…" if len(quote) > MAX_QUOTE else ""),
            text=_checked(text),
            at_ms=tx.now_ms,
        )
        await diff_comments.put(tx, row)

    @writes
    async def remove(self, tx: Tx, number: int, digest: str, anchor: LineAnchor, actor: Actor) -> None:
        """Delete the comment of `actor` on a line, if there is one."""
        await visible_task(tx, self.settings(), number, actor)
        await diff_comments.remove(tx, number, _person(actor), digest, anchor)

    @writes
    async def discard(self, tx: Tx, number: int, digest: str, actor: Actor) -> None:
        """Delete the draft of `actor` on one diff."""
        await visible_task(tx, self.settings(), number, actor)
        await diff_comments.remove_all(tx, number, _person(actor), digest)

    async def send(
        self, number: int, digest: str, opening: str, actor: Actor, is_request: Callable[[str], bool]
    ) -> Task:
        """Send the draft of `actor` on one diff, current or not, as one reply that begins with `opening`.

        `is_request` tells whether a text is a complete request by itself: if all comments together are, they are sent
        without quoting their lines, because the grammar reads requests without quotations. The
        draft is deleted once the reply is accepted. Raises `UsageError` if there is no draft, and what a reply raises.
        """
        draft = next((each for each in await self.drafts(number, actor) if each.digest == digest), None)
        if draft is None:
            mend = "Open the task again to see what was sent."
            raise UsageError("no_comments", f"there are no comments on this diff of #{number} to send", mend)
        alone = draft.as_requests(opening)
        text = alone if is_request(alone) else draft.as_turn(opening)
        task = await self.requests.reply(number, text, actor, draft.dedup)
        await self._sent(number, digest, draft.comments, actor)
        return task

    @writes
    async def _sent(self, tx: Tx, number: int, digest: str, sent: Iterable[LineComment], actor: Actor) -> None:
        await diff_comments.remove_written(tx, number, _person(actor), digest, sent)


async def _drafts(tx: Tx, task: Task, person: str) -> tuple[CommentDraft, ...]:
    current = task.staged.digest if task.staged else ""
    rows = sorted(await diff_comments.of_person(tx, task.number, person), key=lambda row: row.digest)
    drafts = []
    for digest, group in groupby(rows, key=lambda row: row.digest):
        written = list(group)
        comments = in_order([diff_comments.comment_of(row) for row in written])
        drafts.append(CommentDraft(digest, max(row.revision for row in written), digest == current, comments))
    drafts.sort(key=lambda draft: (not draft.is_current, -max(to_ms(c.at) for c in draft.comments)))
    return tuple(drafts)


def _person(actor: Actor) -> str:
    if actor.person is None:
        raise RefusedError("not_a_person", "the operator has no comments", "Sign in as a person to comment.")
    return actor.person


def _checked(text: str) -> str:
    plain = checked_text(text.replace("\r\n", "\n"))
    if len(plain) > MAX_TEXT:
        raise UsageError("too_long", f"a comment has at most {MAX_TEXT} characters", "Shorten it.")
    return plain
