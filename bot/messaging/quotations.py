"""Quotations: what a request takes from the message that it replies to, and who wrote that.

"@bot do this" as a reply to a message requests what that message says; a request with more text gets the message as
context. Either way the writer of the message becomes an author of the change, and cannot approve it alone.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from bot.cards.safe import one_line
from bot.commands import Ask, parse
from bot.messaging.command_actor import CommandActor
from bot.messaging.identities import IdentityDirectory
from bot.surfaces.port import IncomingMessage

MAX_CHARACTERS: Final = 4000
"""Maximum characters of a message that a request gets as context."""
_POINTING: Final = re.compile(
    r"(?:please[, ]+)?(?:(?:can|could|would) you )?(?:please )?(?:just )?(?:do |apply |run )?"
    r"(?:this|that|it|so|the above|\N{WHITE UP POINTING BACKHAND INDEX}|\N{WHITE UP POINTING INDEX}|\^)?"
    r"(?: for me)?(?:,? please)?[\s.!?\ufe0f\U0001f3fb-\U0001f3ff]*",
    re.IGNORECASE,
)
"""Text that only points at the message above."""


async def with_quoted(
    directory: IdentityDirectory, speaker: CommandActor, message: IncomingMessage
) -> tuple[CommandActor, IncomingMessage]:
    """`message` with what it takes from the message it replies to, and its speaker with that message's writer.

    Only requests take something; all other messages are returned unchanged.
    """
    quoted = message.quoted
    text = message.text.strip()
    only_points = quoted is not None and _POINTING.fullmatch(text) is not None
    if quoted is None or not (only_points or isinstance(parse(text, bound=False), Ask)):
        return speaker, message
    writer = await directory.person(message.place.surface, quoted.identity) if quoted.identity else None
    if writer is not None and writer != speaker.person:
        speaker = replace(speaker, also_by=(writer,))
    if only_points and isinstance(parse(quoted.text, bound=False), Ask):  # a quoted command is never carried out
        return speaker, replace(message, text=quoted.text)
    name = writer or one_line(quoted.name, 60) or "someone"
    quote = " ".join(quoted.text[:MAX_CHARACTERS].split())
    return speaker, replace(message, context=f'{message.context}\n{name} wrote: "{quote}"'.strip())
