"""Forms and the Home tab as Slack views; pure. User text is shown literally."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from bot.cards.model import Card
from bot.surfaces.slack.payloads import FIELD, SHORTCUT, TEXT_FORM
from bot.surfaces.slack.text import truncate

MAX_INPUT: Final = 3000
"""Characters of a text field (https://docs.slack.dev/reference/block-kit/block-elements/plain-text-input-element)."""
MAX_TITLE: Final = 24
"""Characters of a modal's title and buttons (https://docs.slack.dev/reference/views/modal-views)."""
MAX_HOME: Final = 100
"""Blocks of a Home tab (https://docs.slack.dev/reference/block-kit/blocks)."""
_FORMS: Final = {
    "reject": ("Reject", "Why? The next attempt uses your reason.", "Reject"),
    "reply": ("Reply", "What should be different?", "Reply"),
    "pick": ("Pick parts", "Which parts should stay? Their numbers, such as 1,3-5", "Pick"),
}
_DEFAULT_FORM: Final = ("Countersign", "In your words", "Send")

View = dict[str, Any]


def text_form(kind: str, metadata: str) -> View:
    """The form that asks for the text of a ``reject`` or ``reply``; `metadata` comes back with it."""
    title, label, submit = _FORMS.get(kind, _DEFAULT_FORM)
    return _modal(TEXT_FORM, title, label, submit, metadata, "")


def shortcut_form(initial: str, metadata: str) -> View:
    """The form of the message shortcut, prefilled with the message's text."""
    return _modal(SHORTCUT, "Ask Countersign", "What should be changed?", "Ask", metadata, truncate(initial, MAX_INPUT))


def home_view(cards: Sequence[Card] | None) -> View:
    """The Home tab: what waits for this person and how to ask; None for someone who may not see what waits."""
    blocks: list[View] = []
    if cards is not None:
        blocks.append({"type": "header", "text": _plain("Waiting for you" if cards else "Nothing waits for you")})
    first_cards = list(cards or ())[: (MAX_HOME - 4) // 2]
    for card in first_cards:
        needs = " · ".join([*card.byline[:2], *(need.sentence for need in card.needs[:1])])
        title = f"{card.icon} {card.label} {card.lane} · {card.title or '(no title)'}"
        blocks.append({"type": "section", "text": _plain(truncate(title, 300))})
        if needs:
            blocks.append({"type": "context", "elements": [_plain(truncate(needs, 300))]})
    omitted = len(cards or ()) - len(first_cards)
    if omitted > 0:
        blocks.append({"type": "context", "elements": [_plain(f"… and {omitted} more")]})
    hint = "Write to me, mention me in a channel that I am set up for, or type /countersign help."
    blocks.append({"type": "section", "text": _plain(hint)})
    return {"type": "home", "blocks": blocks}


def _modal(callback: str, title: str, label: str, submit: str, metadata: str, initial: str) -> View:
    field: View = {"type": "plain_text_input", "action_id": FIELD, "multiline": True, "max_length": MAX_INPUT}
    field |= {"initial_value": initial} if initial else {}
    return {
        "type": "modal",
        "callback_id": callback,
        "title": _plain(truncate(title, MAX_TITLE)),
        "submit": _plain(submit),
        "close": _plain("Not now"),
        "private_metadata": metadata,
        "blocks": [{"type": "input", "block_id": FIELD, "label": _plain(label), "element": field}],
    }


def _plain(text: str) -> View:
    return {"type": "plain_text", "text": text, "emoji": False}
