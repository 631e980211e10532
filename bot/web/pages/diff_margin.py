"""What stands beside and between the lines of a diff: links for comments, comments of a draft, and moved blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from markupsafe import Markup

from bot.cards.safe import visible, visible_lines
from bot.web.diff.files import DiffFile, DividedDiff
from bot.web.diff.hunks import ADDED, REMOVED
from bot.web.diff.moved import MovedBlock
from bot.web.diff.rows_html import LineKey, Margin
from core.model.diff_comment import CommentDraft, DiffSide, LineAnchor, LineComment
from core.model.staged_diff import TYPED_DIGITS

_SIGNS = {DiffSide.OLD: REMOVED, DiffSide.NEW: ADDED}
_LETTERS = {DiffSide.OLD: "o", DiffSide.NEW: "n"}


def comment_address(number: int, digest: str, view: str, file: int, at: str = "") -> str:
    """The page for writing on a line of a diff; `at` is the side's letter and the line's number."""
    return f"/tasks/{number}/comment?digest={digest[:TYPED_DIGITS]}&view={view}&file={file}&at={at}"


def line_of(anchor: LineAnchor) -> str:
    """The side and the number of a line as `comment_address` has them."""
    return f"{_LETTERS[anchor.side]}{anchor.line}"


def margins(number: int, diff: DividedDiff, view: str, draft: CommentDraft | None) -> Callable[[DiffFile], Margin]:
    """The margin of each file; without a `draft`, the visitor may not comment, and there are no links for it."""

    def margin_of(file: DiffFile) -> Margin:
        blocks = diff.moved.blocks.get(file.index, ())
        comments = [c for c in draft.comments if c.anchor.path == file.path] if draft else []
        link = comment_address(number, diff.digest, view, file.index) if draft is not None else ""
        return Margin(
            link=str(Markup("{}").format(link)),
            before={(block.sign, block.first): _moved_row(block) for block in blocks},
            after=_comment_rows(comments, number, diff.digest, view, file),
            moved=_moved_lines(blocks),
        )

    return margin_of


def _moved_lines(blocks: Iterable[MovedBlock]) -> frozenset[LineKey]:
    return frozenset((b.sign, line) for b in blocks for line in range(b.first, b.first + b.count))


def _moved_row(block: MovedBlock) -> str:
    what = "line" if block.count == 1 else f"{block.count} lines"
    where = "moved to" if block.sign == REMOVED else "moved from"
    row = Markup("<tr class=movednote><td colspan=4>{} {} <code>{}:{}</code></td>\n")
    return str(row.format(what, where, visible(block.other_path), block.other_first))


def _comment_rows(
    comments: Iterable[LineComment], number: int, digest: str, view: str, file: DiffFile
) -> dict[LineKey, str]:
    rows = {}
    for comment in comments:
        at = line_of(comment.anchor)
        row = Markup(
            '<tr class=comment><td colspan=4><div id="c-{}-{}" tabindex="-1"><p>{}</p>'
            '<p class="dim">Not sent yet. <a href="{}">Change or remove it</a></p></div></td>\n'
        )
        address = comment_address(number, digest, view, file.index, at)
        text = row.format(file.index, at, visible_lines(comment.text), address)
        rows[_SIGNS[comment.anchor.side], comment.anchor.line] = str(text)
    return rows
