"""Socket Mode: deliveries over a connection that we open, so that no public address is needed.

https://docs.slack.dev/apis/events-api/using-socket-mode
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from slack_bolt.adapter.socket_mode.async_internals import run_async_bolt_app, send_async_response
from slack_bolt.async_app import AsyncApp
from slack_bolt.response import BoltResponse
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse

from bot.surfaces.slack import payloads
from bot.surfaces.slack.api import SlackApi, silent_logger
from bot.surfaces.slack.errors import translate_errors
from bot.surfaces.slack.webhook import UNHANDLED_STATUS
from core.log import fault_of, log
from core.model.errors import CountersignError, PermanentError, TransientError

PING_S: Final = 5.0
"""Interval of pings; after four missed ones slack_sdk opens another connection."""
CONNECT_S: Final = 30.0
DRAIN_S: Final = 2.0
"""How long deliveries under way may take to be stored and acknowledged at the end; Slack repeats the others."""


async def listen(api: SlackApi, app_token: str, app: AsyncApp, *, connect_s: float = CONNECT_S) -> None:
    """Dispatch deliveries from the socket until cancelled; see `SlackConnection.listen`."""
    await SlackConnection(api, app_token, app, connect_s=connect_s).listen()


async def open_connection_url(api: SlackApi, app_token: str) -> str:
    """The URL of the next connection; it contains a key, so it is never shown."""
    with translate_errors("apps.connections.open"):
        answer = await api.client.apps_connections_open(app_token=app_token)
    return str(answer["url"])


class SlackConnection(SocketModeClient):
    """slack_sdk's client; raises when it can never reconnect, instead of retrying forever.

    `on_open` is called each time that it is connected or reconnected.
    """

    def __init__(
        self,
        api: SlackApi,
        app_token: str,
        app: AsyncApp,
        on_open: Callable[[], None] = lambda: None,
        *,
        connect_s: float = CONNECT_S,
    ) -> None:
        super().__init__(app_token=app_token, logger=silent_logger(), web_client=api.client, ping_interval=PING_S)
        self.proxy = api.client.proxy
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._api, self._app, self._connect_s, self._on_open = api, app, connect_s, on_open
        self._running: set[asyncio.Task[Any]] = set()
        self.socket_mode_request_listeners.append(self._dispatch)

    async def listen(self) -> None:
        """Dispatch deliveries until cancelled; a lost connection is reopened.

        Raises `PermanentError` if Slack no longer accepts the app token, `TransientError` if it cannot be reached, or
        if nothing opens at its URL within `connect_s`.
        """
        try:
            await self.open()
            await self.lost
        finally:
            await self.end()

    async def open(self) -> None:
        """Connect for the first time."""
        self.wss_uri = await open_connection_url(self._api, self.app_token)
        await self.connect()
        if not self.lost.done():
            log.info("slack_socket_opened")

    async def connect(self) -> None:
        """Called by slack_sdk whenever it connects; by itself it would retry one URL forever, and each works once."""
        try:
            async with asyncio.timeout(self._connect_s):
                await super().connect()  # type: ignore[no-untyped-call]  # slack_sdk leaves it so
            self._on_open()
        except TimeoutError as error:
            message = "Slack's socket did not open"
            self._fail(TransientError("slack_unreachable", message, "Countersign tries again."), error)

    async def issue_new_wss_url(self) -> str:
        """Called by slack_sdk whenever it reconnects."""
        try:
            return await open_connection_url(self._api, self.app_token)
        except PermanentError as error:
            self._fail(error, error.__cause__)
            raise
        except CountersignError as error:
            log.warning("slack_socket_not_opened", code=error.problem.code)
            raise

    async def _dispatch(self, _client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        started = asyncio.get_running_loop().time()
        if not payloads.is_well_formed(request.payload):  # acknowledged anyway, or Slack would repeat it
            log.warning("slack_delivery_malformed", kind=payloads.delivery_kind({"type": request.type}))
            await self.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))
            return
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            response = await self._answer(request)
            await send_async_response(self, request, response, started)
        finally:
            self._running.discard(task)

    async def _answer(self, request: SocketModeRequest) -> BoltResponse:
        """The response for Slack; a delivery that is unhandled or makes bolt fail is acknowledged."""
        try:
            response = await run_async_bolt_app(self._app, request)
        except Exception as error:  # noqa: BLE001 - bolt reads more than we check, and its errors may hold user data
            log.error("slack_delivery_broke", kind=payloads.delivery_kind({"type": request.type}), **fault_of(error))
            return BoltResponse(status=200, body="")
        return BoltResponse(status=200, body="") if response.status == UNHANDLED_STATUS else response

    def _fail(self, error: CountersignError, cause: BaseException | None) -> None:
        error.__cause__ = cause
        if not self.lost.done():
            self.lost.set_exception(error)

    async def end(self) -> None:
        """Let deliveries under way be acknowledged, then close, even if cancelled meanwhile."""
        try:
            if self._running:
                await asyncio.wait(self._running, timeout=DRAIN_S)
        finally:
            ending = asyncio.create_task(self._end_now())
            try:
                await asyncio.shield(ending)
            except asyncio.CancelledError:
                await asyncio.wait([ending], timeout=DRAIN_S)
                raise

    async def _end_now(self) -> None:
        """Close, and wait for the tasks that slack_sdk only cancels."""
        tasks = [self.message_processor, self.current_session_monitor, self.message_receiver]
        if self.lost.done() and not self.lost.cancelled():
            self.lost.exception()
        else:
            self.lost.cancel()
        try:
            await self.close()  # type: ignore[no-untyped-call]  # slack_sdk leaves it so
        except (OSError, SlackApiError) as error:
            log.warning("slack_socket_not_closed", error=type(error).__name__)
        waiting: list[Any] = [task for task in tasks if task is not None]
        await asyncio.gather(*waiting, return_exceptions=True)
