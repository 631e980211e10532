"""QR codes, drawn on the server as SVG without styles or scripts (the only module that imports segno)."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape


def qr_svg(text: str, label: str) -> Markup:
    """`text` as a QR code with dark modules on a white ground, which cameras read in a dark page too."""
    import segno  # slow to import, and rarely needed

    code = segno.make(text, error="m", micro=False)
    width, height = code.symbol_size(border=4)
    rects = Markup("").join(
        Markup('<rect x="{}" y="{}" width="{}" height="1"/>').format(start, y, length)
        for y, row in enumerate(code.matrix_iter(border=4))
        for start, length in _runs(row)
    )
    opening = Markup('<svg class="qr" role="img" aria-label="{}" viewBox="0 0 {} {}" shape-rendering="crispEdges">')
    ground = Markup('<rect width="{}" height="{}" fill="#fff"/>').format(width, height)
    return (
        opening.format(escape(label), width, height) + ground + Markup('<g fill="#000">') + rects + Markup("</g></svg>")
    )


def _runs(row: Iterable[int]) -> list[tuple[int, int]]:
    """The runs of dark modules of one line, as (start, length)."""
    runs: list[tuple[int, int]] = []
    for x, is_dark in enumerate(row):
        if not is_dark:
            continue
        if runs and sum(runs[-1]) == x:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((x, 1))
    return runs
