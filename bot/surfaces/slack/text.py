"""Text on Slack: its limits, escaping what Slack would interpret, and removing Slack's markup; pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from bot.surfaces.utf16 import utf16_length
from core.model.shorten import whole_words

MAX_BLOCKS: Final = 50
"""Blocks per message (https://docs.slack.dev/reference/block-kit/blocks)."""
MAX_SECTION: Final = 3000
"""Characters of a section's text (https://docs.slack.dev/reference/block-kit/blocks/section-block)."""
MAX_HEADER: Final = 150
"""Characters of a header (https://docs.slack.dev/reference/block-kit/blocks/header-block)."""
MAX_BUTTON: Final = 75
"""Characters on a button (https://docs.slack.dev/reference/block-kit/block-elements/button-element)."""
MAX_VALUE: Final = 2000
"""Characters of a button's value (the same page)."""
MAX_ACTION_ID: Final = 255
"""Characters of an action_id (the same page)."""
MAX_ACTIONS: Final = 25
"""Elements of an actions block (https://docs.slack.dev/reference/block-kit/blocks/actions-block)."""
MAX_TOTAL: Final = 13_200
"""The total length of a message's blocks, beyond which it fails with ``msg_blocks_too_long``; undocumented.

https://github.com/slackapi/bolt-js/issues/2509 met it at 13,297 characters of one block, and
https://github.com/slackapi/bolt-js/issues/2867 at 11,341 characters of text in rich text: containers count too. So we
count the blocks as compact JSON, including containers.
"""
BUDGET: Final = 11_000
"""The total length that we allow, by the same count; well below, because the rule is undocumented."""
MAX_TEXT: Final = 3_900
"""Characters of a message's text that we send at once; Slack asks for at most 4,000 and cuts at 40,000.

https://docs.slack.dev/reference/methods/chat.postMessage
"""

_ESCAPES: Final = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"))
_TOKEN: Final = re.compile(r"<(?:([@#!])([^<>|]*)|((?:https?|mailto|tel|ftp|ftps|sftp|slack):[^<>|]*))(?:\|([^<>]*))?>")


def total_length(blocks: Sequence[dict[str, Any]]) -> int:
    """What the blocks count against `MAX_TOTAL`."""
    return utf16_length(json.dumps(blocks, ensure_ascii=False, separators=(",", ":")))


def truncate(text: str, limit: int) -> str:
    """`text` in at most `limit` UTF-16 units, with an ellipsis if it was longer."""
    if utf16_length(text) <= limit:
        return text
    budget = limit - 1
    end = min(len(text), budget)
    while utf16_length(text[:end]) > budget:
        end -= 1
    return f"{whole_words(text, end)}…"


def truncate_middle(text: str, limit: int) -> str:
    """`text` shortened in its middle, because both ends of a path matter most."""
    if utf16_length(text) <= limit:
        return text
    half = (limit - 1) // 4
    return f"{text[:half]}…{truncate(text[-(limit - 1 - 2 * half) // 2 :], limit - 1 - 2 * half)}"


def escape(text: str) -> str:
    """`text` for a field in which Slack looks for links and mentions, so that it finds none (security.md 140).

    https://docs.slack.dev/messaging/formatting-message-text#escaping
    """
    for char, entity in _ESCAPES:
        text = text.replace(char, entity)
    return text


def strip_markup(text: str) -> str:
    """A person's text without Slack's markup: links, mentions and escapes become the characters typed."""
    plain = _TOKEN.sub(_typed_text, text)
    for char, entity in reversed(_ESCAPES):
        plain = plain.replace(entity, char)
    return plain


def _typed_text(match: re.Match[str]) -> str:
    mark, name, url, label = match.groups()
    if url is None:
        typed, sign = label or name, "#" if mark == "#" else "@"
        return typed if typed.startswith(sign) else f"{sign}{typed}"
    without_scheme = url.partition(":")[2].lstrip("/")
    if not label or label in (url, without_scheme) or f"{label}/" == without_scheme:
        return label or url
    return f"{label} ({url})"


def split_text(text: str, limit: int = MAX_TEXT) -> Iterator[str]:
    """`text` in parts of at most `limit` units once escaped, split between lines where possible."""
    part = ""
    for line in text.split("\n"):
        rest = line
        if part and utf16_length(escape(f"{part}\n{rest}")) > limit:
            yield part
            part = ""
        while utf16_length(escape(rest)) > limit:
            count = limit // 10  # an escaped or wide character has at most five units
            while count < len(rest) and utf16_length(escape(rest[: count + 1])) <= limit:
                count += 1
            yield rest[:count]
            rest = rest[count:]
        part = f"{part}\n{rest}" if part else rest
    if part:
        yield part
