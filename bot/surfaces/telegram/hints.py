"""Hints: what is said to a person who speaks to us in a way that we cannot take words from."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from bot.cards.wording import command_line
from bot.surfaces.telegram.update_parts import Json, bool_at, optional_object, required_int, required_object
from core.model.advice import CommandName, Suggestion

_WITHOUT_WORDS: Final = {
    "voice": "I cannot listen to voice messages.",
    "audio": "I cannot listen to recordings.",
    "video_note": "I cannot watch video messages.",
    "video": "I cannot watch videos.",
    "photo": "I cannot read pictures.",
    "document": "I cannot read files.",
    "animation": "I cannot read animations.",
    "sticker": "I cannot read stickers.",
    "location": "I cannot use places.",
    "venue": "I cannot use places.",
    "contact": "I cannot use contacts.",
    "poll": "I cannot use polls.",
    "story": "I cannot watch stories.",
    "paid_media": "I cannot watch paid media.",
    "checklist": "I cannot read checklists.",
}
"""Kinds of content (core.telegram.org/bots/api#message); anything else without words is a notice of Telegram's."""
_HELP: Final = command_line(Suggestion(CommandName.HELP), "telegram")
_WRITE: Final = f'Write what to change, such as "set server.timeout to 30 in config/app.yaml"; {_HELP} shows more.'
_FORWARDED: Final = (
    "A forwarded message is not your request. Reply to it and write what to do with it, or write it in your own words."
)
_VIA_BOT: Final = "A message that another bot wrote for you is not your request. Please write it yourself."
_ANONYMOUS: Final = (
    "You write in the group's name, so I cannot tell who asks. "
    "Turn off “Remain anonymous” in your admin rights, or write to me directly."
)
_CHANNEL: Final = (
    "You write in a channel's name, so I cannot tell who asks. Write as yourself, or write to me directly."
)


@dataclass(frozen=True, slots=True)
class Hint:
    """What to say, nothing where silence is right; `nobody` when it is not known who wrote."""

    text: str = ""
    nobody: bool = False


def hint_for(message: Json, author: Json, text: str, nobody: Collection[int]) -> Hint | None:
    """Why `message`, which speaks to us, is not somebody's words, and what to say; None where it is."""
    if bool_at(message, "is_automatic_forward"):
        return Hint()
    sender = optional_object(message, "sender_chat")
    if sender is not None:
        same = required_int(sender, "id") == required_int(required_object(message, "chat"), "id")
        return Hint(_ANONYMOUS if same else _CHANNEL, nobody=True)
    if bool_at(author, "is_bot") or required_int(author, "id") in nobody:
        return Hint()  # bots that answer each other never end
    private = required_int(required_object(message, "chat"), "id") == required_int(author, "id")
    if optional_object(message, "via_bot") is not None:
        return Hint(_VIA_BOT if private else "")
    if optional_object(message, "forward_origin") is not None:
        return Hint(_FORWARDED if private else "")
    if text:
        return None
    kind = next((kind for kind in _WITHOUT_WORDS if message.get(kind)), None)
    return Hint(f"{_WITHOUT_WORDS[kind]} {_WRITE}") if kind else None
