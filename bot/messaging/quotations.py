"""Quotations: what a request takes from the message that it answers, and whose words those are.

"@bot do this" below somebody's message asks for what that message says; with more words of its own the message comes
along as what it is about. Either way its writer is an author of what is made of it, and does not approve it alone.
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
"""Of a message that comes along as what a request is about."""
_POINTING: Final = re.compile(
    r"(?:please[, ]+)?(?:(?:can|could|would) you )?(?:please )?(?:just )?(?:do |apply |run )?"
    r"(?:this|that|it|so|the above|\N{WHITE UP POINTING BACKHAND INDEX}|\N{WHITE UP POINTING INDEX}|\^)?"
    r"(?: for me)?(?:,? please)?[\s.!?\ufe0f\U0001f3fb-\U0001f3ff]*",
    re.IGNORECASE,
)
"""Words that only point at the message above."""


async def with_quoted(
    directory: IdentityDirectory, speaker: CommandActor, message: IncomingMessage
) -> tuple[CommandActor, IncomingMessage]:
    """`message` as a request that uses the message it answers, and its speaker with whose words those are.

    Any other command, and what is about a task already, uses nothing of it.
    """
    quoted = message.quoted
    text = message.text.strip()
    only_points = quoted is not None and _POINTING.fullmatch(text) is not None
    if quoted is None or not (only_points or isinstance(parse(text, bound=False), Ask)):
        return speaker, message
    writer = await directory.person(message.place.surface, quoted.identity) if quoted.identity else None
    if writer is not None and writer != speaker.person:
        speaker = replace(speaker, also_by=(writer,))
    if only_points and isinstance(parse(quoted.text, bound=False), Ask):  # never a command of somebody else's
        return speaker, replace(message, text=quoted.text)
    name = writer or one_line(quoted.name, 60) or "somebody"
    words = " ".join(quoted.text[:MAX_CHARACTERS].split())
    return speaker, replace(message, context=f'{message.context}\n{name} wrote: "{words}"'.strip())
