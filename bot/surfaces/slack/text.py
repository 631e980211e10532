"""Words on Slack: its limits, what it would act on in a text, and what people type there as plain words; pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from core.model.shorten import whole_words

MAX_BLOCKS: Final = 50
"""Blocks a message (https://docs.slack.dev/reference/block-kit/blocks)."""
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
"""What all blocks of a message may come to, or it fails with ``msg_blocks_too_long``; undocumented, measured by others.

https://github.com/slackapi/bolt-js/issues/2509 met it at 13,297 characters of one block, and
https://github.com/slackapi/bolt-js/issues/2867 at 11,341 characters of text in rich text: containers count too. So we
count the blocks as compact JSON, containers and all.
"""
BUDGET: Final = 11_000
"""What we let the blocks of a card come to, by the same count: as the rule is not written down, we stay well below."""
MAX_TEXT: Final = 3_900
"""Characters of a message's text that we send at once; Slack asks for at most 4,000 and cuts at 40,000.

https://docs.slack.dev/reference/methods/chat.postMessage
"""

_ESCAPES: Final = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"))
_TOKEN: Final = re.compile(r"<(?:([@#!])([^<>|]*)|((?:https?|mailto|tel|ftp|ftps|sftp|slack):[^<>|]*))(?:\|([^<>]*))?>")


def utf16_length(text: str) -> int:
    """How long Slack, which counts UTF-16, takes `text` to be."""
    return len(text) + sum(1 for char in text if ord(char) > 0xFFFF)


def total_length(blocks: Sequence[dict[str, Any]]) -> int:
    """What the blocks come to against `MAX_TOTAL`."""
    return utf16_length(json.dumps(blocks, ensure_ascii=False, separators=(",", ":")))


def truncate(text: str, limit: int) -> str:
    """`text`, cut with an ellipsis where it is longer than `limit` UTF-16 units."""
    if utf16_length(text) <= limit:
        return text
    room = limit - 1
    kept = min(len(text), room)
    while utf16_length(text[:kept]) > room:
        kept -= 1
    return f"{whole_words(text, kept)}…"


def truncate_middle(text: str, limit: int) -> str:
    """`text`, shortened in its middle: of a path both ends tell most."""
    if utf16_length(text) <= limit:
        return text
    half = (limit - 1) // 4
    return f"{text[:half]}…{truncate(text[-(limit - 1 - 2 * half) // 2 :], limit - 1 - 2 * half)}"


def escape(text: str) -> str:
    """`text` for a field in which Slack looks for links and mentions: nothing in it is one (security.md 140).

    https://docs.slack.dev/messaging/formatting-message-text#escaping
    """
    for char, entity in _ESCAPES:
        text = text.replace(char, entity)
    return text


def strip_markup(text: str) -> str:
    """What a person wrote, out of Slack's markup: links, mentions and escapes become the words that were typed."""
    said = _TOKEN.sub(_typed, text)
    for char, entity in reversed(_ESCAPES):
        said = said.replace(entity, char)
    return said


def _typed(match: re.Match[str]) -> str:
    mark, name, url, label = match.groups()
    if url is None:
        shown, sign = label or name, "#" if mark == "#" else "@"
        return shown if shown.startswith(sign) else f"{sign}{shown}"
    bare = url.partition(":")[2].lstrip("/")
    if not label or label in (url, bare) or f"{label}/" == bare:
        return label or url
    return f"{label} ({url})"


def split_text(text: str, limit: int = MAX_TEXT) -> Iterator[str]:
    """`text` in parts of at most `limit` units once escaped, broken between lines where that is possible."""
    part = ""
    for line in text.split("\n"):
        rest = line
        if part and utf16_length(escape(f"{part}\n{rest}")) > limit:
            yield part
            part = ""
        while utf16_length(escape(rest)) > limit:
            take = limit // 10  # an escaped or wide character comes to at most five units, a whole one to ten
            while take < len(rest) and utf16_length(escape(rest[: take + 1])) <= limit:
                take += 1
            yield rest[:take]
            rest = rest[take:]
        part = f"{part}\n{rest}" if part else rest
    if part:
        yield part
