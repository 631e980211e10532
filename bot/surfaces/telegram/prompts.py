"""Prompts: how a button's words are asked for, and how the reply finds its button again, restarts or not.

A message that forces a reply cannot have buttons, and a callback carries no text. So the sign at the beginning of the
question is a link to the bot, whose fragment names the button and the card, signed with a key made of the bot's token:
nobody else can make us take a reply for a click, whatever words or links they bring us to repeat. Telegram brings the
links of a message along with the reply to it (core.telegram.org/bots/api#messageentity, ``text_link``). Where Telegram
refuses links, and in older questions, the reference stands as the last line.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_QUESTIONS: Final = {
    "reject": ("Why not? Please reply to this message; the reason goes into the next try.", "Reason"),
    "reply": ("What should be different? Please reply to this message.", "What should change"),
    "pick": ("Which parts stay? Please reply to this message with their numbers, such as 1,3-5.", "1,3-5"),
}
_OTHER: Final = ("Please reply to this message.", "Your answer")
_REFERENCE: Final = re.compile(r"([A-Za-z0-9_-]{1,64})\.([0-9]{1,19})\.([0-9a-f]{16})")


@dataclass(frozen=True, slots=True)
class PromptedAction:
    """What a question was asked for: the button, and the message id of its card."""

    button: str
    card: str


def question_for(form: str) -> tuple[str, str]:
    """The question for a form's words, and what stands in the empty field."""
    return _QUESTIONS.get(form, _OTHER)


def sign_reference(token: str, chat_id: int, button: str, card: str) -> str:
    """What leads from the reply back to the button."""
    return f"{button}.{card}.{_mac(token, chat_id, button, card)}"


def reference_link(username: str, ref: str) -> str:
    """The address that carries a reference; pressed, it leads to the bot."""
    return f"https://t.me/{username}#{ref}"


def read_reference(token: str, chat_id: int, text: str, links: Iterable[str] = ()) -> PromptedAction | None:
    """What a question was asked for, by the `text` and the `links` of that message of ours; None if it is none."""
    for place in (*(url.rpartition("#")[2] for url in links), text.rpartition("\n")[2]):
        found = _REFERENCE.fullmatch(place)
        if found is not None and hmac.compare_digest(found[3], _mac(token, chat_id, found[1], found[2])):
            return PromptedAction(found[1], found[2])
    return None


def derive_secret(token: str, purpose: str) -> str:
    """32 hex digits that only the token's holder can work out, and that do not give it away."""
    return hmac.new(token.encode(), f"countersign {purpose}".encode(), hashlib.sha256).hexdigest()[:32]


def _mac(token: str, chat_id: int, button: str, card: str) -> str:
    key = derive_secret(token, "prompt").encode()
    return hmac.new(key, f"{chat_id}:{button}:{card}".encode(), hashlib.sha256).hexdigest()[:16]
