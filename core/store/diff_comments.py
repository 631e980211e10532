"""Comments on lines that were not sent yet: rows in, values out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, delete, func
from sqlmodel import col, select

from core.model.diff_comment import DiffSide, LineAnchor, LineComment
from core.store.comment_table import DiffCommentRow
from core.store.database import from_ms
from core.store.unit_of_work import Tx


async def of_person(tx: Tx, number: int, person: str) -> Sequence[DiffCommentRow]:
    """Everything that a person wrote on lines of a task and has not sent."""
    query = select(DiffCommentRow).where(DiffCommentRow.number == number, DiffCommentRow.person == person)
    return (await tx.session.exec(query)).all()


async def count(tx: Tx, number: int, person: str, digest: str) -> int:
    """How many comments a person has on one diff of a task."""
    query = select(func.count()).select_from(DiffCommentRow).where(_draft(number, person, digest))
    return int((await tx.session.exec(query)).one())


async def put(tx: Tx, row: DiffCommentRow) -> None:
    """Store a comment in the place of an earlier one on the same line."""
    await tx.session.merge(row)
    await tx.session.flush()


async def get(tx: Tx, number: int, person: str, digest: str, anchor: LineAnchor) -> DiffCommentRow | None:
    """The comment on a line, or None."""
    key = (person, number, digest, anchor.path, anchor.side.value, anchor.line)
    return await tx.session.get(DiffCommentRow, key)


async def remove(tx: Tx, number: int, person: str, digest: str, anchor: LineAnchor) -> None:
    """Delete the comment on a line."""
    on_line = (
        (col(DiffCommentRow.path) == anchor.path)
        & (col(DiffCommentRow.side) == anchor.side.value)
        & (col(DiffCommentRow.line) == anchor.line)
    )
    await tx.session.execute(delete(DiffCommentRow).where(_draft(number, person, digest) & on_line))


async def remove_written(tx: Tx, number: int, person: str, digest: str, written: Iterable[LineComment]) -> None:
    """Delete comments that are still as they were `written`; one that was changed since stays."""
    rows = {comment_of(row).anchor: row for row in await of_person(tx, number, person) if row.digest == digest}
    for comment in written:
        row = rows.get(comment.anchor)
        if row is not None and comment_of(row) == comment:
            await remove(tx, number, person, digest, comment.anchor)


async def remove_all(tx: Tx, number: int, person: str, digest: str) -> None:
    """Delete every comment of a person on one diff of a task."""
    await tx.session.execute(delete(DiffCommentRow).where(_draft(number, person, digest)))


async def remove_before(tx: Tx, at_ms: int) -> None:
    """Delete the comments that were last changed before `at_ms`."""
    await tx.session.execute(delete(DiffCommentRow).where(col(DiffCommentRow.at_ms) < at_ms))


def comment_of(row: DiffCommentRow) -> LineComment:
    """A row as a value."""
    anchor = LineAnchor(row.path, DiffSide(row.side), row.line)
    return LineComment(anchor, row.quote, row.text, from_ms(row.at_ms))


def _draft(number: int, person: str, digest: str) -> ColumnElement[bool]:
    return (
        (col(DiffCommentRow.number) == number)
        & (col(DiffCommentRow.person) == person)
        & (col(DiffCommentRow.digest) == digest)
    )
