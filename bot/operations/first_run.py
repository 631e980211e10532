"""The first run of `serve`: a page that makes the home, served on the socket that the real server then takes over."""

from __future__ import annotations

import asyncio
import shutil
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from starlette.routing import Mount

from bot.configuration.home import Home
from bot.operations.init import make_home
from bot.web.server import WebServer
from bot.web.settings import LOOPBACK
from bot.web.setup.application import SetupPage
from bot.web.setup.link import LIFETIME_S, SetupLink
from bot.web.setup.sample import FOLDER, NAME, make_sample, policy_with_sample
from core.model.errors import ConflictError, CountersignError, PermanentError, UsageError
from core.model.person import check_name
from core.model.turn import Actor

_PAGES: Final = """
# The pages are served on this machine, at http://127.0.0.1:8700; `countersign sign-in` lets a browser in.
web: {}
"""
_HAND_OVER_S: Final = 5.0
_MAINTAINER: Final = "maintainer"
_RESERVED: Final = frozenset({_MAINTAINER, "member"})


async def set_up(home: Home, host: str, port: int, show: Callable[[str], None]) -> socket.socket:
    """Serve the setup page until someone has used its link; returns the listening socket for the server that follows.

    `show` gets each link, also those that replace an expired one. Raises `UsageError` for an address that other
    machines reach, and `PermanentError` if the port is taken.
    """
    if host not in LOOPBACK and host != "::1":
        mend = "Run `countersign serve` without --host for the setup, or create the home with `countersign init`."
        raise UsageError("setup_is_local", f"a new home is not set up over the network, and {host} is not local", mend)
    link = SetupLink(time.monotonic)

    async def make(name: str, browser: str) -> str:
        return await make_first_home(home, name, browser)

    async def stopped() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_HAND_OVER_S):
                while server.accepts:  # noqa: ASYNC110 (uvicorn tells no one)
                    await asyncio.sleep(0.02)

    page = SetupPage(link, make, stopped)
    listening = WebServer([], host, port).bind()
    server = WebServer([Mount("", app=page.application())], host, port, listening=listening)
    try:
        await _serve_until_done(server, page, show)
    except BaseException:
        listening.close()
        raise
    return listening


async def _serve_until_done(server: WebServer, page: SetupPage, show: Callable[[str], None]) -> None:
    running = asyncio.create_task(server.run())
    started = asyncio.create_task(server.started.wait())
    try:
        await asyncio.wait({running, started}, return_when=asyncio.FIRST_COMPLETED)
        while not page.done.is_set():
            show(f"http://127.0.0.1:{server.port}/setup/{page.link.secret}")
            with suppress(TimeoutError):
                async with asyncio.timeout(LIFETIME_S):
                    await page.done.wait()
            if not page.done.is_set():
                page.link.renew()
    finally:
        started.cancel()
        running.cancel()
        await asyncio.gather(running, started, return_exceptions=True)


async def make_first_home(home: Home, name: str, browser: str) -> str:
    """Make a home with a sample repository and one maintainer, who is signed in; returns the cookie's secret.

    Raises `CountersignError` for a name that is not valid or a folder that is no longer empty; what was made until
    then is removed.
    """
    from bot.wiring.app import opened
    from core.services.web_sessions import BrowserClient

    check_name(name, "the name")
    if name.lower() in _RESERVED:
        raise UsageError("bad_name", f"{name!r} is a role, so it cannot be a person", "Use another name.")
    if not home.is_new:
        mend = "Stop `countersign serve` and start it again."
        raise ConflictError("home_exists", f"{home.root} is not empty any more", mend)
    sample = home.root / FOLDER
    try:
        await asyncio.to_thread(make_sample, sample, NAME)
        home.policy.write_text(policy_with_sample(), encoding="utf-8")
        await make_home(home, (f"{NAME}={sample}",), (f"{name}:{_MAINTAINER}",), "local")
        with home.config.open("a", encoding="utf-8") as config:
            config.write(_PAGES)
        async with opened(home) as app:
            link = await app.web_sessions.make_link(Actor(name, "terminal"))
            session = await app.web_sessions.sign_in(link, BrowserClient(browser), None)
    except (CountersignError, OSError) as error:
        if not home.config.exists():  # else it is a home, perhaps another program's
            shutil.rmtree(home.root, ignore_errors=True)
        if isinstance(error, OSError):
            why = error.strerror or str(error)
            mend = "Make the folder writable, or name another with --home."
            raise PermanentError("not_writable", f"{home.root} cannot be written: {why}", mend) from error
        raise
    assert session is not None, "the link was made a moment ago"
    return session.secret
