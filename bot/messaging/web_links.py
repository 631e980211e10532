"""The command /web: a link that signs a browser in as the person who writes, in a direct message only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bot.messaging.command_actor import CommandActor
from bot.surfaces.port import Response
from bot.web.settings import WebSettings
from core.services.web_sessions import LINK_LIFETIME_S, WebSessions


@dataclass(frozen=True, slots=True)
class WebLinks:
    """Makes sign-in links for conversations; `settings` returns where the pages are reached now."""

    sessions: WebSessions
    settings: Callable[[], WebSettings | None]

    async def link(self, speaker: CommandActor) -> Response:
        """A link for `speaker`, or why there is none; others could use a link in a place that they read too."""
        settings = self.settings()
        if settings is None or settings.url is None:
            return Response("The pages have no address yet. Ask the operator to set web.url.", refused=True)
        if not speaker.place.private:
            return Response("A link signs in as you, so ask for it in a direct message to me.", refused=True)
        token = await self.sessions.make_link(speaker.actor)
        minutes = LINK_LIFETIME_S // 60
        text = f"Open this once, within {minutes} minutes: {settings.link(f'/sign-in/{token}')}"
        return Response(text, personal=True)
