"""Hints: the answers to messages that contain no text that can be a request."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from bot.cards.problem_text import command_line
from bot.surfaces.telegram.update_parts import Json, bool_at, optional_object, required_int, required_object
from core.model.advice import CommandName, Suggestion

_UNREADABLE_CONTENT: Final = {
    "voice": "I cannot listen to voice messages.",
    "audio": "I cannot listen to recordings.",
    "video_note": "I cannot watch video messages.",
    "video": "I cannot watch videos.",
    "photo": "I cannot read pictures.",
    "document": "I cannot read files.",
    "animation": "I cannot read animations.",
    "sticker": "I cannot read stickers.",
    "location": "I cannot use locations.",
    "venue": "I cannot use locations.",
    "contact": "I cannot use contacts.",
    "poll": "I cannot use polls.",
    "story": "I cannot watch stories.",
    "paid_media": "I cannot watch paid media.",
    "checklist": "I cannot read checklists.",
}
"""Kinds of content (core.telegram.org/bots/api#message); other messages without text are service messages."""
_HELP: Final = command_line(Suggestion(CommandName.HELP), "telegram")
_WRITE: Final = f'Write what to change, such as "set server.timeout to 30 in config/app.yaml"; {_HELP} shows more.'
_FORWARDED: Final = (
    "A forwarded message does not count as your request. Reply to it with what to do, or write it in your own words."
)
_VIA_BOT: Final = "A message that another bot wrote for you does not count as your request. Please write it yourself."
_ANONYMOUS: Final = (
    "You write in the name of the group, so I cannot tell who you are. "
    "Turn off “Remain anonymous” in your admin rights, or write to me directly."
)
_CHANNEL: Final = (
    "You write in the name of a channel, so I cannot tell who you are. Write as yourself, or write to me directly."
)


@dataclass(frozen=True, slots=True)
class Hint:
    """The answer to such a message, empty to stay silent; `is_anonymous` if its author is unknown."""

    text: str = ""
    is_anonymous: bool = False


def hint_for(message: Json, author: Json, text: str, shared_accounts: Collection[int]) -> Hint | None:
    """The hint for a `message` to the bot that does not count as its author's words; None if it does count."""
    if bool_at(message, "is_automatic_forward"):
        return Hint()
    sender = optional_object(message, "sender_chat")
    if sender is not None:
        is_this_group = required_int(sender, "id") == required_int(required_object(message, "chat"), "id")
        return Hint(_ANONYMOUS if is_this_group else _CHANNEL, is_anonymous=True)
    if bool_at(author, "is_bot") or required_int(author, "id") in shared_accounts:
        return Hint()  # two bots would answer each other forever
    is_private = required_int(required_object(message, "chat"), "id") == required_int(author, "id")
    if optional_object(message, "via_bot") is not None:
        return Hint(_VIA_BOT if is_private else "")
    if optional_object(message, "forward_origin") is not None:
        return Hint(_FORWARDED if is_private else "")
    if text:
        return None
    kind = next((kind for kind in _UNREADABLE_CONTENT if message.get(kind)), None)
    return Hint(f"{_UNREADABLE_CONTENT[kind]} {_WRITE}") if kind else None
