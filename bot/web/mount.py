"""Puts the pages under the web server's root; a wrong host is refused before anything of the pages is loaded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Mount

from bot.web.settings import WebSettings
from bot.web.site.hosts import host_of, is_allowed
from core.log import fault_of, log

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from bot.web.site.services import SiteServices

CurrentSettings = Callable[[], WebSettings]
"""Returns the settings of the pages in force."""

_WRONG_HOST: Final = "These pages are not served under this name. Add it to web.hosts in countersign.yaml.\n"


class Site:
    """The pages, built at the first request for one; `close` ends the connections that wait for news."""

    def __init__(self, services: SiteServices, settings: CurrentSettings) -> None:
        self._services, self._settings = services, settings
        self._app: ASGIApp | None = None
        self._close: Callable[[], None] = lambda: None
        self._lock = asyncio.Lock()

    def routes(self) -> Sequence[BaseRoute]:
        """The route below which every page is."""
        return [Mount("", app=self)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it if it names another host (security.md 132)."""
        if scope["type"] != "http":
            return
        if not is_allowed(host_of(scope), self._settings()):
            await PlainTextResponse(_WRONG_HOST, status_code=421)(scope, receive, send)
            return
        app = await self._built()
        await app(scope, receive, send)

    async def _built(self) -> ASGIApp:
        async with self._lock:
            if self._app is None:
                try:
                    self._app, self._close = await asyncio.to_thread(self._build)
                except Exception as error:
                    log.error("pages_broke", **fault_of(error))
                    raise
            assert self._app is not None
            return self._app

    def _build(self) -> tuple[ASGIApp, Callable[[], None]]:
        from bot.web.application import build_site

        return build_site(self._services)

    def close(self) -> None:
        """End the connections that wait for news, so that the server can stop."""
        self._close()
