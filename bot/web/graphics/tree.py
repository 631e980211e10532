"""A graph in which each box has at most one box before it: who waits for whom, from left to right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from bot.web.graphics.svg import element, text, title

_BOX_WIDTH: Final = 190
_BOX_HEIGHT: Final = 44
_GAP_X: Final = 40
_GAP_Y: Final = 12
_MARGIN: Final = 4
_LABEL_CHARS: Final = 25


@dataclass(frozen=True, slots=True)
class Box:
    """A box: its key, that of the box before it, two lines of text, where it links to, and its class."""

    key: int
    before: int | None
    heading: str
    label: str
    address: str
    kind: str


def tree(boxes: Sequence[Box], label: str) -> Markup:
    """The graph in its own size; a box whose predecessor is not among the boxes begins on the left."""
    known = {box.key: box for box in boxes}
    places = _places(boxes, known)
    columns = 1 + max((column for column, _ in places.values()), default=0)
    rows = 1 + max((row for _, row in places.values()), default=0)
    width = 2 * _MARGIN + columns * _BOX_WIDTH + (columns - 1) * _GAP_X
    height = 2 * _MARGIN + rows * _BOX_HEIGHT + (rows - 1) * _GAP_Y
    shapes = [_edge(places[box.before], places[box.key]) for box in boxes if box.before in known and box.before]
    shapes += [_drawn(box, *places[box.key]) for box in boxes]
    return element(
        "svg", shapes, viewBox=f"0 0 {width} {height}", width=width, height=height, role="group", aria_label=label
    )


def _places(boxes: Sequence[Box], known: Mapping[int, Box]) -> dict[int, tuple[int, int]]:
    """The column and the row of each box: a box is in the row of its first successor, and each leaf has its own."""
    after: dict[int | None, list[Box]] = {}
    for box in boxes:
        after.setdefault(box.before if box.before in known else None, []).append(box)
    places: dict[int, tuple[int, int]] = {}
    row = 0
    pending = [(box, 0) for box in reversed(after.get(None, []))]
    while pending:
        box, column = pending.pop()
        places[box.key] = (column, row)
        successors = after.get(box.key, [])
        row += not successors
        pending += [(each, column + 1) for each in reversed(successors)]
    return places


def _corner(column: int, row: int) -> tuple[int, int]:
    return _MARGIN + column * (_BOX_WIDTH + _GAP_X), _MARGIN + row * (_BOX_HEIGHT + _GAP_Y)


def _edge(before: tuple[int, int], after: tuple[int, int]) -> Markup:
    (x1, y1), (x2, y2) = _corner(*before), _corner(*after)
    start, middle = x1 + _BOX_WIDTH, x1 + _BOX_WIDTH + _GAP_X // 2
    y1, y2 = y1 + _BOX_HEIGHT // 2, y2 + _BOX_HEIGHT // 2
    arrow = f"M{x2 - 7} {y2 - 4}L{x2} {y2}L{x2 - 7} {y2 + 4}"
    return element("path", class_="edge", d=f"M{start} {y1}H{middle}V{y2}H{x2}{arrow}")


def _drawn(box: Box, column: int, row: int) -> Markup:
    x, y = _corner(column, row)
    short = box.label if len(box.label) <= _LABEL_CHARS else f"{box.label[: _LABEL_CHARS - 1]}…"
    shapes = [
        title(f"{box.heading} {box.label}"),
        element("rect", x=x, y=y, width=_BOX_WIDTH, height=_BOX_HEIGHT, rx=6),
        text(box.heading, x + 9, y + 18, class_="heading"),
        text(short, x + 9, y + 35),
    ]
    return element("a", shapes, href=box.address, class_=f"box {box.kind}")
