"""The diff of a task's page: its parts, the tree of its files, and which parts the visitor was shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi import Request
from markupsafe import Markup

from bot.cards.diff import DiffView, read_diff
from bot.cards.model import Card
from bot.cards.parts import FileRow
from bot.cards.reordering import count_reordered, reordering_warning
from bot.web.diff.files import DiffFile, DividedDiff
from bot.web.diff.rows_html import Gap
from bot.web.diff.view import UNIFIED, VIEWS, DiffFrame, FileView, GapLink, no_ticks, view_part
from bot.web.pages.diff_margin import margins
from bot.web.pages.part_ticks import PartTicks
from bot.web.site.site_context import SiteContext, visitor_of
from core.model.diff_comment import CommentDraft
from core.model.errors import NotFoundError
from core.model.risk import RiskLevel
from core.model.task import Task
from core.services.partial_changes import parts_in
from core.services.staged_diffs import StagedContent
from core.services.web_sessions import ShownParts


@dataclass(frozen=True, slots=True)
class FileTreeEntry:
    """A line of the tree of files: a folder, or a file with where its lines are."""

    name: str
    depth: int
    row: FileRow | None = None
    part: int = 0
    index: int = 0


@dataclass(frozen=True, slots=True)
class DiffPart:
    """One part of a diff on a page; `number` counts from 0. `shown` are the parts that the visitor has seen now.

    `marks_moved` is false for a diff that is too long to search it for moved lines. `has_parts` says whether some of it
    could be kept alone, `picks` whether it has checkboxes for that.
    """

    number: int
    count: int
    view: str
    files: Sequence[FileView]
    tree: Sequence[FileTreeEntry]
    warning: str
    shown: ShownParts
    marks_moved: bool = True
    has_parts: bool = False
    picks: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether the visitor was shown every part, so that nothing is hidden from them."""
        return self.shown.is_whole

    @property
    def file_count(self) -> int:
        """How many files the whole diff has."""
        return sum(1 for entry in self.tree if entry.row is not None)


def chosen_view(request: Request) -> str:
    """How the visitor wants to see the lines."""
    view = request.query_params.get("view", "")
    return view if view in VIEWS else UNIFIED


def chosen_part(request: Request) -> int:
    """The part that the visitor asks for, from 0."""
    part = request.query_params.get("part", "1")
    return int(part) - 1 if part.isascii() and part.isdecimal() and 0 < len(part) < 7 else 0


def picks_parts(request: Request) -> bool:
    """Whether the visitor wants to keep only some parts, or just tried to."""
    return request.query_params.get("pick") == "1" or request.url.path.endswith("/pick")


async def divided(site: SiteContext, task: Task, card: Card) -> tuple[StagedContent, DividedDiff] | None:
    """The staged diff and its parts; None if nothing is staged or the guard blocked it."""
    content = await site.services.diffs.content(task)
    if content is None or task.staged is None or card.staged is None:
        return None
    order = [row.path for row in card.staged.files]
    return content, await site.divider.divide(task.staged.digest, content, order)


async def diff_part(
    site: SiteContext,
    request: Request,
    task: Task,
    card: Card,
    draft: CommentDraft | None = None,
    *,
    picks: bool = False,
) -> DiffPart | None:
    """The part that a request asks for; records that the visitor was shown it. None without a diff to approve.

    `draft` has the visitor's comments on the diff; without one they may not comment. With `picks` files and hunks have
    checkboxes.
    """
    found = await divided(site, task, card)
    if found is None:
        return None
    content, diff = found
    number, view = chosen_part(request), chosen_view(request)
    if not 0 <= number < len(diff.parts):
        raise NotFoundError("no_such_part", "the diff has no such part", "Begin with its first part.")
    rows = rows_of(card)
    link = gap_link(task.number, diff.digest, view)
    ticks_of = PartTicks(parts_in(content)).of if picks else no_ticks
    frame = DiffFrame(view, link, margins(task.number, diff, view, draft), ticks_of)
    files = await view_part(content, diff.parts[number], rows, frame)
    session = visitor_of(request).session.id
    if not is_prefetch(request):
        await site.services.web_sessions.record_shown(session, diff.digest, number, len(diff.parts))
    shown = await site.services.web_sessions.parts_shown(session, diff.digest)
    warning = reordering_warning(count_reordered(content.diff))
    tree = _tree(diff, rows)
    has_parts = len(diff.files) > 1 or any(len(file.hunks) > 1 for file in diff.files)
    whole = (number, len(diff.parts), view, files, tree, warning, shown, diff.moved.was_searched)
    return DiffPart(*whole, has_parts=has_parts, picks=picks)


def is_prefetch(request: Request) -> bool:
    """Whether a browser fetches the page before anyone looks at it, which shows nothing to anyone."""
    return "prefetch" in request.headers.get("sec-purpose", request.headers.get("purpose", ""))


def masked_diff(diff: bytes | None) -> DiffView | None:
    """A blocked diff with its secrets masked, which no one can approve, for reading."""
    return read_diff(diff, max_lines=2_000) if diff is not None else None


def rows_of(card: Card) -> dict[str, FileRow]:
    """The facts of each file, by its path."""
    return {row.path: row for row in card.staged.files} if card.staged else {}


def gap_link(number: int, digest: str, view: str) -> GapLink:
    """Makes the links that expand unchanged lines; without JavaScript they lead to the whole file."""

    def link(file: DiffFile, gap: Gap) -> str:
        plural = "" if gap.count == 1 else "s"
        query = f"digest={digest}&old={gap.old}&new={gap.new}&count={gap.count}&view={view}"
        whole = f"/tasks/{number}/files/{file.index}?digest={digest}&view={view}"
        return Markup(
            '<a href="{}" hx-get="/tasks/{}/context/{}?{}" hx-target="closest tr" hx-swap="outerHTML">'
            "⋯ {} unchanged line{}</a>"
        ).format(whole, number, file.index, query, gap.count, plural)

    return link


def _tree(diff: DividedDiff, rows: Mapping[str, FileRow]) -> list[FileTreeEntry]:
    """The files by folder, folders and files in the order of their names."""
    entries: list[FileTreeEntry] = []
    folders: tuple[str, ...] = ()
    begins = _beginnings(diff)
    for file in sorted(diff.files, key=lambda file: file.path.split("/")):
        *above, name = file.path.split("/")
        entries.extend(
            FileTreeEntry(f"{folder}/", depth)
            for depth, folder in enumerate(above)
            if tuple(above[: depth + 1]) != folders[: depth + 1]
        )
        folders = tuple(above)
        row = file.shown_row(rows.get(file.path)) or FileRow(file.path, "M", None, None, (), RiskLevel.LOW)
        entries.append(FileTreeEntry(name, len(above), row, begins[file.index], file.index))
    return entries


def _beginnings(diff: DividedDiff) -> dict[int, int]:
    """The part in which each file begins."""
    begins: dict[int, int] = {}
    for number, part in enumerate(diff.parts):
        for one in part:
            begins.setdefault(one.file.index, number)
    return begins
