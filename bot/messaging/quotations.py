"""Quoting: what a request takes from the message that it answers, and whose words those are.

"@bot do this" below somebody's message asks for what that message says; with more words of its own the message comes
along as what it is about. Either way its writer is an author of what is made of it, and does not approve it alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from bot.cards.safe import one_line
from bot.commands import Ask, parse
from bot.messaging.command_dispatcher import CommandActor
from bot.messaging.identities import IdentityDirectory
from bot.messaging.inbox_consumer import InboxListener
from bot.messaging.rate_limits import RateLimits
from bot.surfaces.port import ButtonPress, IncomingMessage, Response

MOST_CHARACTERS: Final = 4000
"""Of a message that comes along as what a request is about."""
_POINTS: Final = re.compile(
    r"(?:please[, ]+)?(?:(?:can|could|would) you )?(?:please )?(?:just )?(?:do |apply |run )?"
    r"(?:this|that|it|so|the above|\N{WHITE UP POINTING BACKHAND INDEX}|\N{WHITE UP POINTING INDEX}|\^)?"
    r"(?: for me)?(?:,? please)?[\s.!?\ufe0f\U0001f3fb-\U0001f3ff]*",
    re.IGNORECASE,
)
"""Words that only point at the message above."""


async def with_quoted(
    directory: IdentityDirectory, speaker: CommandActor, said: IncomingMessage
) -> tuple[CommandActor, IncomingMessage]:
    """`said` as a request that uses the message it answers, and its speaker with whose words those are.

    Any other command, and what is about a task already, uses nothing of it.
    """
    quoted = said.quoted
    text = said.text.strip()
    points = quoted is not None and _POINTS.fullmatch(text) is not None
    if quoted is None or not (points or isinstance(parse(text, bound=False), Ask)):
        return speaker, said
    writer = await directory.person(said.place.surface, quoted.identity) if quoted.identity else None
    if writer is not None and writer != speaker.person:
        speaker = replace(speaker, also_by=(writer,))
    if points and isinstance(parse(quoted.text, bound=False), Ask):  # never a command of somebody else's
        return speaker, replace(said, text=quoted.text)
    name = writer or one_line(quoted.name, 60) or "somebody"
    words = " ".join(quoted.text[:MOST_CHARACTERS].split())
    return speaker, replace(said, context=f'{said.context}\n{name} wrote: "{words}"'.strip())


@dataclass(slots=True)
class QuotationHints:
    """Answers messages in which nothing can be read; hands all others, and all of strangers, to `talk`."""

    talk: InboxListener
    directory: IdentityDirectory
    limits: RateLimits

    async def hear(self, said: IncomingMessage | ButtonPress) -> Response:
        """Say what is possible instead, as often as anybody may say something."""
        if isinstance(said, ButtonPress) or not said.hint:
            return await self.talk.hear(said)
        person = await self.directory.person(said.place.surface, said.identity) if said.identity else None
        if person is None and said.identity:
            return await self.talk.hear(replace(said, hint=""))
        if self.limits.wait_s(person or f"nobody on {said.place.surface} in {said.place.channel}"):
            return Response()
        return Response(said.hint, refused=person is not None)
