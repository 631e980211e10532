"""The Web API as we use it: one call at a time for each method and channel, in order, at the pace Slack asks for."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from bot.surfaces.slack.errors import translate_errors
from core.model.errors import TransientError

TIMEOUT_S: Final = 20
_PATIENCE_S: Final = 3.0
"""A pause asked for by Slack that is waited out here; a longer one is told to the caller, who can do other work."""
_MAX_LANES: Final = 4096
_MAX_UPLOADED: Final = 1000
"""Files that were uploaded and are not in a conversation yet."""
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


class SlackApi:
    """Calls of the Web API with one bot token; errors are ours (`TransientError`, `PermanentError`).

    `client` is slack_sdk's, for Socket Mode and bolt, which want one.
    """

    def __init__(self, token: str, base_url: str) -> None:
        self.client = AsyncWebClient(
            token=token,
            base_url=base_url if base_url.endswith("/") else f"{base_url}/",
            timeout=TIMEOUT_S,
            logger=silent_logger(),
            retry_handlers=[],  # a call that may have had its effect is repeated by whoever knows that, not underneath
        )
        if urlsplit(base_url).hostname in _LOOPBACK:
            self.client.proxy = None
        self._lanes: dict[tuple[str, str], _Lane] = {}
        self._uploaded: dict[tuple[str, bytes], str] = {}

    @asynccontextmanager
    async def session(self) -> AsyncIterator[None]:
        """Keep connections open in between calls, while this lasts."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session:
            self.client.session = session
            try:
                yield
            finally:
                self.client.session = None

    async def call(
        self, method: str, arguments: Mapping[str, Any], *, lane: str = "", timeout_s: float = TIMEOUT_S
    ) -> Mapping[str, Any]:
        """Slack's answer to one call, its arguments sent as JSON; `lane` is the channel in which order matters."""
        async with self._turn(method, lane):
            with translate_errors(method):
                async with asyncio.timeout(timeout_s):
                    answer = await self.client.api_call(method, json=dict(arguments))
        return answer.data if isinstance(answer.data, dict) else {}

    async def ask(self, method: str, arguments: Mapping[str, str], *, timeout_s: float = TIMEOUT_S) -> Any:
        """Slack's answer to a question, its arguments sent as a form: most reading methods take no JSON.

        https://docs.slack.dev/apis/web-api/#post-bodies. The answer has ``data`` and ``headers``.
        """
        with translate_errors(method):
            async with asyncio.timeout(timeout_s):
                return await self.client.api_call(method, data=dict(arguments))

    async def upload(self, files: list[dict[str, Any]], channel: str, thread: str | None, words: str | None) -> None:
        """Put files into a conversation in the three steps that Slack wants; each has ``filename`` and ``content``.

        What was uploaded is not uploaded again when the last step has to be repeated.
        https://docs.slack.dev/messaging/working-with-files/#upload
        """
        async with self._turn("files", channel):
            keys = [(file["filename"], sha256(file["content"]).digest()) for file in files]
            for key, file in zip(keys, files, strict=True):
                if key not in self._uploaded:
                    self._uploaded[key] = await self._upload(file["filename"], file["content"])
            shown = [{"id": self._uploaded[key], "title": key[0]} for key in keys]
            try:
                with translate_errors("files.completeUploadExternal"):
                    async with asyncio.timeout(TIMEOUT_S):
                        await self.client.files_completeUploadExternal(
                            files=shown, channel_id=channel, thread_ts=thread, initial_comment=words
                        )
            except TransientError:
                self._keep_few()
                raise
            except BaseException:
                self._forget(keys)
                raise
            self._forget(keys)

    async def _upload(self, name: str, content: bytes) -> str:
        """Upload one file; its id, under which the last step puts it into a conversation."""
        with translate_errors("files.getUploadURLExternal"):
            async with asyncio.timeout(2 * TIMEOUT_S):
                answer = await self.client.files_getUploadURLExternal(filename=name, length=len(content))
                url, timeout = str(answer["upload_url"]), aiohttp.ClientTimeout(total=TIMEOUT_S)
                async with (
                    aiohttp.ClientSession(timeout=timeout) as session,
                    session.post(url, data=content, proxy=self.client.proxy) as response,
                ):
                    response.raise_for_status()
        return str(answer["file_id"])

    def _forget(self, keys: Iterable[tuple[str, bytes]]) -> None:
        for key in keys:
            self._uploaded.pop(key, None)

    def _keep_few(self) -> None:
        """Forget the oldest uploads of which nothing came."""
        while len(self._uploaded) > _MAX_UPLOADED:
            self._uploaded.pop(next(iter(self._uploaded)))

    @asynccontextmanager
    async def _turn(self, method: str, lane: str) -> AsyncIterator[None]:
        """This caller's turn; a pause that Slack asked for holds for all who follow on the same method and channel."""
        if len(self._lanes) > _MAX_LANES:
            self._lanes = {key: kept for key, kept in self._lanes.items() if kept.busy()}
        mine = self._lanes.setdefault((method, lane), _Lane())
        async with mine.order:
            left_s = mine.closed_until - time.monotonic()
            if left_s > _PATIENCE_S:
                told = f"Slack limits {method}"
                raise TransientError("slack_limit", told, "It goes on by itself.", retry_after_s=left_s)
            if left_s > 0:
                await asyncio.sleep(left_s)
            try:
                yield
            except TransientError as error:
                if error.retry_after_s is not None:
                    mine.closed_until = time.monotonic() + error.retry_after_s
                raise


class _Lane:
    """One method in one channel: who is next, and until when Slack wants no call."""

    __slots__ = ("closed_until", "order")

    def __init__(self) -> None:
        self.order = asyncio.Lock()
        self.closed_until = 0.0

    def busy(self) -> bool:
        """True while forgetting it would let somebody jump the queue or the pause."""
        return self.order.locked() or self.closed_until > time.monotonic()


def silent_logger() -> logging.Logger:
    """The logger given to slack_sdk and bolt: at DEBUG they would write messages, and addresses with keys."""
    logger = logging.getLogger("countersign.slack.sdk")
    logger.setLevel(logging.CRITICAL)
    return logger
