"""The Web API client: calls to the same method and channel run in order, at the pace that Slack asks for."""

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
_MAX_WAIT_S: Final = 3.0
"""The longest pause that is waited out here; a longer one is raised, so that the caller can do other work."""
_MAX_QUEUES: Final = 4096
_MAX_UPLOADED: Final = 1000
"""Uploaded files that are not in a conversation yet."""
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


class SlackApi:
    """Calls the Web API with one bot token; raises `TransientError` and `PermanentError`.

    `client` is slack_sdk's, which Socket Mode and bolt need.
    """

    def __init__(self, token: str, base_url: str) -> None:
        self.client = AsyncWebClient(
            token=token,
            base_url=base_url if base_url.endswith("/") else f"{base_url}/",
            timeout=TIMEOUT_S,
            logger=silent_logger(),
            retry_handlers=[],  # a call may have taken effect, so only its caller decides whether to repeat it
        )
        if urlsplit(base_url).hostname in _LOOPBACK:
            self.client.proxy = None
        self._queues: dict[tuple[str, str], _CallQueue] = {}
        self._uploaded: dict[tuple[str, bytes], str] = {}

    @asynccontextmanager
    async def session(self) -> AsyncIterator[None]:
        """Keep connections open between calls."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session:
            self.client.session = session
            try:
                yield
            finally:
                self.client.session = None

    async def call(
        self, method: str, arguments: Mapping[str, Any], *, channel: str = "", timeout_s: float = TIMEOUT_S
    ) -> Mapping[str, Any]:
        """Call `method` with JSON arguments; calls to the same `channel` keep their order."""
        async with self._turn(method, channel):
            with translate_errors(method):
                async with asyncio.timeout(timeout_s):
                    answer = await self.client.api_call(method, json=dict(arguments))
        return answer.data if isinstance(answer.data, dict) else {}

    async def get(self, method: str, arguments: Mapping[str, str], *, timeout_s: float = TIMEOUT_S) -> Any:
        """Call a reading method with form arguments, because most of them take no JSON.

        https://docs.slack.dev/apis/web-api/#post-bodies. The answer has ``data`` and ``headers``.
        """
        with translate_errors(method):
            async with asyncio.timeout(timeout_s):
                return await self.client.api_call(method, data=dict(arguments))

    async def upload(self, files: list[dict[str, Any]], channel: str, thread: str | None, comment: str | None) -> None:
        """Put files into a conversation in the three steps that Slack requires.

        Each file has ``filename`` and ``content``. A file that was uploaded is not uploaded again when the last step is
        retried. https://docs.slack.dev/messaging/working-with-files/#upload
        """
        async with self._turn("files", channel):
            keys = [(file["filename"], sha256(file["content"]).digest()) for file in files]
            for key, file in zip(keys, files, strict=True):
                if key not in self._uploaded:
                    self._uploaded[key] = await self._upload(file["filename"], file["content"])
            entries = [{"id": self._uploaded[key], "title": key[0]} for key in keys]
            try:
                with translate_errors("files.completeUploadExternal"):
                    async with asyncio.timeout(TIMEOUT_S):
                        await self.client.files_completeUploadExternal(
                            files=entries, channel_id=channel, thread_ts=thread, initial_comment=comment
                        )
            except TransientError:
                self._drop_oldest()
                raise
            except BaseException:
                self._forget(keys)
                raise
            self._forget(keys)

    async def _upload(self, name: str, content: bytes) -> str:
        """Upload one file; returns its id for the last step."""
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

    def _drop_oldest(self) -> None:
        """Forget the oldest uploads that were never put into a conversation."""
        while len(self._uploaded) > _MAX_UPLOADED:
            self._uploaded.pop(next(iter(self._uploaded)))

    @asynccontextmanager
    async def _turn(self, method: str, channel: str) -> AsyncIterator[None]:
        """The caller's turn; a pause that Slack asked for applies to all later calls of the method and channel."""
        if len(self._queues) > _MAX_QUEUES:
            self._queues = {key: each for key, each in self._queues.items() if each.is_busy()}
        queue = self._queues.setdefault((method, channel), _CallQueue())
        async with queue.order:
            left_s = queue.closed_until - time.monotonic()
            if left_s > _MAX_WAIT_S:
                message = f"Slack limits {method}"
                raise TransientError("slack_limit", message, "Countersign continues by itself.", retry_after_s=left_s)
            if left_s > 0:
                await asyncio.sleep(left_s)
            try:
                yield
            except TransientError as error:
                if error.retry_after_s is not None:
                    queue.closed_until = time.monotonic() + error.retry_after_s
                raise


class _CallQueue:
    """The calls of one method in one channel: their order, and until when Slack wants none."""

    __slots__ = ("closed_until", "order")

    def __init__(self) -> None:
        self.order = asyncio.Lock()
        self.closed_until = 0.0

    def is_busy(self) -> bool:
        """Whether dropping it would let a call skip the order or the pause."""
        return self.order.locked() or self.closed_until > time.monotonic()


def silent_logger() -> logging.Logger:
    """The logger for slack_sdk and bolt, which at DEBUG would log messages and URLs with keys."""
    logger = logging.getLogger("countersign.slack.sdk")
    logger.setLevel(logging.CRITICAL)
    return logger
