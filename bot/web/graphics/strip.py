"""A strip: spans beside each other on one line, such as the phases of a job or the parts of a GPU's memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from bot.web.graphics.svg import element, stretched, title

_WIDTH: Final = 1000
_LEAST: Final = 3.0
"""The width of a span that would be too short to be seen."""


@dataclass(frozen=True, slots=True)
class Span:
    """A span from `begin` to `end`, from 0 to 1; `kind` is its class in the style sheet, `words` say what it is."""

    begin: float
    end: float
    kind: str
    words: str


def strip(spans: Sequence[Span], label: str, height: int = 16) -> Markup:
    """The spans in their order; a later one is drawn over an earlier one."""
    shapes = []
    for span in spans:
        width = max(_LEAST, _WIDTH * (span.end - span.begin))
        left = min(_WIDTH * span.begin, _WIDTH - width)
        shapes.append(
            element("rect", [title(span.words)], class_=span.kind, x=left, y=1, width=width, height=height - 2)
        )
    return stretched(height, label, shapes, _WIDTH)
