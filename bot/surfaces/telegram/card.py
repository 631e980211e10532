"""Renders a card for Telegram: one message of at most 4096 UTF-16 units with entities, and its buttons; pure.

Facts come first with a fixed place and size, so that no text of people or models can push them out of sight
(security.md 43). The diff is in the card only if all of it fits; otherwise the card says so and has no Approve until
the whole diff was delivered (security.md 42). `entities` keeps people's text from being linked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from bot.cards.diff import DiffView
from bot.cards.model import Card
from bot.cards.parts import Action, ActionKind
from bot.surfaces.telegram.card_lines import (
    diff_text,
    file_row,
    finding_lines,
    foot_lines,
    head_lines,
    omission_lines,
    quote_lines,
    totals,
)
from bot.surfaces.telegram.entities import (
    MAX_TEXT,
    Line,
    TextPiece,
    TextSpan,
    measure,
    plain_text,
    render_lines,
    truncate,
)
from core.model.lifecycle import State

MAX_DATA_BYTES: Final = 64
"""Bytes of a button's callback data (core.telegram.org/bots/api#inlinekeyboardbutton: 1-64 bytes)."""
MAX_ROWS: Final = 12
MAX_ANSWERS: Final = 20
"""Buttons for a question's answers; more can be typed."""
_NOTE_UNITS: Final = 160
_STATES_WITH_DIFF: Final = (State.STAGED, State.REFUSED)
"""States in which people look for the diff."""
_ICONS: Final = {
    ActionKind.APPROVE: "✅",
    ActionKind.REJECT: "❌",
    ActionKind.REPLY: "💬",
    ActionKind.DIFF: "📄",
    ActionKind.MERGE: "🔀",
    ActionKind.UNDO: "↩️",
    ActionKind.CANCEL: "🚫",
    ActionKind.EXTEND: "💰",
    ActionKind.SHOW: "👁",
    ActionKind.WHY: "🔎",
    ActionKind.PICK: "✂️",
}


@dataclass(frozen=True, slots=True)
class TelegramButton:
    """A button: its label, and the opaque id that comes back when it is pressed."""

    label: str
    data: str


@dataclass(frozen=True, slots=True)
class TelegramCard:
    """A card as a message; `plain` is the same text for when Telegram rejects its entities, and both fit."""

    text: str
    spans: tuple[TextSpan, ...]
    plain: str
    button_rows: tuple[tuple[TelegramButton, ...], ...]


@dataclass(frozen=True, slots=True)
class TelegramRendering:
    """A rendered card, and whether it omits lines of its diff."""

    card: TelegramCard
    hides_lines: bool


def render_telegram_card(
    card: Card, diff: DiffView | None, buttons: Mapping[Action, str], *, delivered: bool
) -> TelegramRendering:
    """Render `card`; `buttons` are the ids of its actions, `delivered` is that of `Surface.render`."""
    files = [row.path for row in card.staged.files] if card.staged else []
    is_complete = diff is not None and card.state in _STATES_WITH_DIFF and not diff.count_hidden_lines(files)
    if diff is not None and is_complete:
        limited = card.limited_to(len(files), 0)
        lines = _compose(limited, diff, "", diff.warning)
        if lines is not None:
            return TelegramRendering(_message(limited, lines, buttons), hides_lines=False)
    limited = card if delivered else card.limited_to(len(files), None)
    warning = diff.warning if diff is not None and card.state in _STATES_WITH_DIFF else ""
    lines = _compose(limited, None, _diff_location(card, delivered=delivered), warning)
    assert lines is not None, "a card without its diff always fits"
    return TelegramRendering(_message(limited, lines, buttons), hides_lines=card.staged is not None)


def _message(card: Card, lines: Sequence[Line], buttons: Mapping[Action, str]) -> TelegramCard:
    text, spans = render_lines(lines)
    return TelegramCard(text, spans, plain_text(lines), _rows(card, buttons))


def _diff_location(card: Card, *, delivered: bool) -> str:
    if not card.awaits_approval:
        return ""
    return "the whole diff was sent to this chat" if delivered else "the diff is not shown here"


def _compose(card: Card, diff: DiffView | None, note: str, warning: str) -> list[Line] | None:
    """The card's lines, or None if the diff does not fit next to the facts."""
    head, foot = list(head_lines(card, warning)), list(foot_lines(card))
    budget = MAX_TEXT - measure(head) - measure(foot) - _NOTE_UNITS
    middle: list[Line] = []
    diff_block: list[Line] = []
    if diff is not None and diff.files:
        diff_block = [[], [TextPiece(diff_text(diff), "pre")]]
        if diff.escaped_count:
            diff_block.insert(1, [TextPiece(f"⚠️ {diff.escaped_note}", "bold")])
        budget -= measure(diff_block)
        if budget < measure([list(totals(card.staged))] if card.staged else []) + 2:
            return None
    rows_shown = _add_details(card, middle, budget)
    note_lines = omission_lines(card, rows_shown, note)
    lines = [*head, *middle, *diff_block, *([[]] if foot or note_lines else []), *note_lines, *foot]
    return _strip_trailing_space(lines)


def _strip_trailing_space(lines: list[Line]) -> list[Line]:
    """Lines that end in a visible character: Telegram strips trailing space and would reject an edit as unchanged."""
    while True:
        last = [*lines[-1]]
        while last and not last[-1].text.rstrip():
            last.pop()
        if last:
            return [*lines[:-1], [*last[:-1], replace(last[-1], text=last[-1].text.rstrip())]]
        lines = lines[:-1]


def _add_details(card: Card, middle: list[Line], budget: int) -> int:
    """Add what fits between head and foot, the most important first; returns how many file rows were shown."""
    rows_shown = 0

    def fits(*lines: Line) -> bool:
        nonlocal budget
        length = measure(lines)
        if length > budget:
            return False
        budget -= length
        middle.extend(lines)
        return True

    if card.staged:
        fits([], list(totals(card.staged)))
        for finding in finding_lines(card.staged):
            if not fits(finding):
                break
        budget -= 60  # for the line that counts the files left out
        for row in card.staged.files[:MAX_ROWS]:
            if not fits(list(file_row(row))):
                break
            rows_shown += 1
        budget += 60
        omitted = card.staged.files[rows_shown:]
        if omitted:
            risky_count = sum(1 for row in omitted if row.is_risky)
            fits(
                [
                    TextPiece(
                        f"… {len(omitted)} more files, {risky_count or 'none'} of them risky",
                        "bold" if risky_count else "",
                    )
                ]
            )
    for quote in card.quotes:
        fits([], *quote_lines(quote))
    return rows_shown


def _rows(card: Card, buttons: Mapping[Action, str]) -> tuple[tuple[TelegramButton, ...], ...]:
    """The button rows: answers one per row, all others two per row; an action without an id can still be typed."""
    answers: list[TelegramButton] = []
    others: list[TelegramButton] = []
    for action in card.actions:
        data = buttons.get(action, "")
        if not 1 <= len(data.encode()) <= MAX_DATA_BYTES:
            continue
        is_answer = action.kind is ActionKind.ANSWER
        label = action.label if is_answer else f"{_ICONS[action.kind]} {action.label}"
        (answers if is_answer else others).append(TelegramButton(truncate(label, 60) if label.strip() else "…", data))
    pairs = [tuple(others[n : n + 2]) for n in range(0, len(others), 2)]
    return (*((answer,) for answer in answers[:MAX_ANSWERS]), *pairs)
