"""Mends as a chat says them: what the command line calls ``countersign show 12`` is ``/show 12`` there; pure."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from bot.cards.model import Card

_SAME: Final = frozenset({"show", "reply", "approve", "reject", "cancel", "merge", "undo", "queue"})
_OTHERS: Final = {"list": "progress", "resume": "release", "pause": "hold"}
_COMMAND: Final = re.compile(r"(?P<open>`?)countersign (?P<name>[a-z]+)(?P<rest>[^`.;]*)(?P<close>`?)")


def spoken(text: str) -> str:
    """`text` with the commands that chats have as they are written there; those of operators stay."""
    return _COMMAND.sub(_said, text)


def spoken_card(card: Card) -> Card:
    """A card whose trouble tells a chat's commands."""
    if card.trouble is None:
        return card
    trouble = replace(card.trouble, message=spoken(card.trouble.message), mend=spoken(card.trouble.mend))
    return replace(card, trouble=trouble)


def _said(found: re.Match[str]) -> str:
    name, rest = found["name"], found["rest"]
    if name == "policy" and rest.strip().startswith("explain"):
        return "/why"
    said = name if name in _SAME else _OTHERS.get(name)
    if said is None:
        return found.group()
    rest = re.sub(r"\s--(?:reason|as|wait|json)\b", "", rest)
    return f"/{said}{rest}"
