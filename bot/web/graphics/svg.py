"""Writes SVG elements with everything escaped; no element has a style of its own, which the pages' headers forbid."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Final

from markupsafe import Markup, escape

COLOURS: Final = 8
"""The classes ``p0`` to ``p7`` of the style sheet, by which series are told apart."""


def element(name: str, children: Iterable[Markup] = (), **attributes: object) -> Markup:
    """One element; an underscore in an attribute's name stands for a hyphen, ``class_`` is ``class``.

    Attributes that are None are left out; numbers have at most two decimals.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{written}>{''.join(children)}</{name}>")  # noqa: S704 (values and children are escaped)


def title(text: str) -> Markup:
    """What is shown when the pointer rests on the element."""
    return Markup(f"<title>{html.escape(text)}</title>")  # noqa: S704 (it is escaped)


def text(words: str, x: float, y: float, **attributes: object) -> Markup:
    """A text at a place; used only where a graphic keeps its own size."""
    return element("text", [escape(words)], x=x, y=y, **attributes)


def stretched(height: int, label: str, shapes: Iterable[Markup], width: int = 1000) -> Markup:
    """A graphic that is stretched to the width of its place; its shapes lie in `width` by `height` units."""
    return element(
        "svg",
        shapes,
        viewBox=f"0 0 {width} {height}",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
        class_="stretched",
        height=height,
    )


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return str(value) if isinstance(value, int) else html.escape(str(value))
