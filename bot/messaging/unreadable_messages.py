"""Unreadable messages, such as voice messages: tells their sender what to send instead."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bot.messaging.identities import IdentityDirectory
from bot.messaging.inbox_consumer import AnswersMessages
from bot.messaging.rate_limits import RateLimits
from bot.surfaces.port import ButtonPress, IncomingMessage, Response


@dataclass(frozen=True, slots=True)
class UnreadableMessages:
    """Answers unreadable messages of known people; all other messages go to `router`."""

    router: AnswersMessages
    directory: IdentityDirectory
    limits: RateLimits

    async def process(self, message: IncomingMessage | ButtonPress) -> Response:
        """Answer with the message's hint, within the sender's rate limit, or process the message."""
        if isinstance(message, ButtonPress) or not message.hint:
            return await self.router.process(message)
        surface, identity = message.place.surface, message.identity
        person = await self.directory.person(surface, identity) if identity else None
        if person is None and identity:
            return await self.router.process(replace(message, hint=""))
        if self.limits.wait_s(person or f"anonymous on {surface} in {message.place.channel}"):
            return Response()
        return Response(message.hint, refused=person is not None)
