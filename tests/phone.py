"""Everything people are shown, as a phone shows it: `python -m tests.phone [telegram|slack|github|terminal]`.

Each state of a card on each surface, wrapped at 40 columns, to be read by whoever changes words.
"""

from __future__ import annotations

import io
import sys
import textwrap
from collections.abc import Iterator

from bot.cards.build import build_card
from bot.cards.diff import read_diff
from bot.cards.model import Card
from bot.surfaces.github.card import render_github_comment
from bot.surfaces.slack.card import render_slack_card
from bot.surfaces.telegram.card import render_telegram_card
from bot.surfaces.terminal import TerminalProfile, print_card
from tests.unit.cards import documents as docs

COLUMNS = 40


def documents() -> Iterator[tuple[str, Card, bytes | None]]:
    """Each state of a card, with its diff where it has one."""
    for name in ("queued", "asking", "staged", "refused_by_guard", "published", "failed", "rejected"):
        diff = docs.DIFF if name in ("staged", "refused_by_guard") else None
        yield name, build_card(getattr(docs, name)(), now=docs.NOW), diff
    yield "second revision", build_card(docs.second_revision(), now=docs.NOW), docs.DIFF
    yield "superseded", build_card(docs.second_revision(), now=docs.NOW, revision=1), None
    yield "diff not shown", build_card(docs.staged(), now=docs.NOW), None
    deceives = docs.DIFF.replace(b"+countersign init", "+if a:\u202e return".encode())
    yield "deceiving code", build_card(docs.staged(), now=docs.NOW), deceives


def on(surface: str, card: Card, diff: bytes | None) -> str:
    """The card as text."""
    view = read_diff(diff, max_lines=None, max_columns=None) if diff is not None else None
    buttons = {action: str(n) for n, action in enumerate(card.actions)}
    match surface:
        case "telegram":
            drawn = render_telegram_card(card, view, buttons, delivered=False).card
            rows = ["  ".join(f"[{button.label}]" for button in row) for row in drawn.button_rows]
            return "\n".join([drawn.text, *rows])
        case "slack":
            blocks = render_slack_card(card, view, buttons, delivered=False).blocks
            return "\n".join(_words(block) for block in blocks)
        case "github":
            return render_github_comment(card, view).text
        case _:
            stream = io.StringIO()
            print_card(stream, card, diff, profile=TerminalProfile(COLUMNS))
            return stream.getvalue()


def _words(block: object) -> str:
    if isinstance(block, dict):
        if block.get("type") == "button":
            return f"[{block['text']['text']}] "
        inner = [_words(part) for part in block.get("elements", ())] or [_words(block.get("text", ""))]
        return "".join(inner) + ("\n" if str(block.get("type", "")).startswith("rich_text_") else "")
    return str(block)


def main() -> None:
    """Print all of it."""
    for surface in sys.argv[1:] or ("telegram", "slack", "github", "terminal"):
        for name, card, diff in documents():
            sys.stdout.write(f"\n{'═' * COLUMNS}\n{surface}: {name}\n{'═' * COLUMNS}\n")
            for line in on(surface, card, diff).split("\n"):
                sys.stdout.write("\n".join(textwrap.wrap(line, COLUMNS, drop_whitespace=False) or [""]) + "\n")


if __name__ == "__main__":
    main()
