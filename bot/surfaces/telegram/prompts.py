"""Prompts: how the bot asks for the text of a button, and how the reply finds its button, also after a restart.

A message that forces a reply cannot have buttons, and a callback carries no text. So the emoji at the beginning of the
prompt links to the bot, and the link's fragment names the button and the card, signed with a key derived from the bot's
token: presses cannot be forged, whatever text or links the bot is made to repeat. Telegram includes the links of a
message in the reply to it (core.telegram.org/bots/api#messageentity, ``text_link``). If Telegram refuses links, and in
older prompts, the reference is the last line.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_QUESTIONS: Final = {
    "reject": ("Why? Please reply to this message. The next attempt uses your reason.", "Reason"),
    "reply": ("What should be different? Please reply to this message.", "What should change"),
    "pick": ("Which parts should stay? Please reply to this message with their numbers, such as 1,3-5.", "1,3-5"),
}
_OTHER: Final = ("Please reply to this message.", "Your answer")
_REFERENCE: Final = re.compile(r"([A-Za-z0-9_-]{1,64})\.([0-9]{1,19})\.([0-9a-f]{16})")


@dataclass(frozen=True, slots=True)
class PromptedAction:
    """What a prompt asked for: the button, and the id of its card's message."""

    button: str
    message_id: str


def question_for(form: str) -> tuple[str, str]:
    """The question of a form, and the placeholder of the input field."""
    return _QUESTIONS.get(form, _OTHER)


def sign_reference(token: str, chat_id: int, button: str, message_id: str) -> str:
    """The signed reference that leads from the reply to the button."""
    return f"{button}.{message_id}.{_mac(token, chat_id, button, message_id)}"


def reference_link(username: str, ref: str) -> str:
    """The link that carries a reference; pressing it opens the bot."""
    return f"https://t.me/{username}#{ref}"


def read_reference(token: str, chat_id: int, text: str, links: Iterable[str] = ()) -> PromptedAction | None:
    """The action of a prompt, from the `text` and `links` of that message; None if it is not a prompt."""
    for candidate in (*(url.rpartition("#")[2] for url in links), text.rpartition("\n")[2]):
        match = _REFERENCE.fullmatch(candidate)
        if match is not None and hmac.compare_digest(match[3], _mac(token, chat_id, match[1], match[2])):
            return PromptedAction(match[1], match[2])
    return None


def derive_secret(token: str, purpose: str) -> str:
    """32 hex digits derived from the token for one purpose; they do not reveal it."""
    return hmac.new(token.encode(), f"countersign {purpose}".encode(), hashlib.sha256).hexdigest()[:32]


def _mac(token: str, chat_id: int, button: str, message_id: str) -> str:
    key = derive_secret(token, "prompt").encode()
    return hmac.new(key, f"{chat_id}:{button}:{message_id}".encode(), hashlib.sha256).hexdigest()[:16]
