"""Repeated requests: a request with an Idempotency-Key takes effect once, and its response is repeated.

This follows draft-ietf-httpapi-idempotency-key-header-07. The first request with a key of a token adds a row, and
stores its response there when it ends. If the process dies in between, the next request with the key runs again after
`ABANDONED_S`; what it does is then found done by the message's own id (a request, a reply) or by the task's state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from core.model.errors import ConflictError
from core.store import api_responses
from core.store.api_tables import ApiResponseRow
from core.store.database import Database
from core.store.unit_of_work import Tx, writes

KEPT_S: Final = 24 * 3600
ABANDONED_S: Final = 60
MAX_KEY: Final = 200


class KeyReusedError(ConflictError):
    """The key was used for another request."""


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """The response to an earlier request with the same key."""

    status: int
    headers: dict[str, str]
    body: str


@dataclass(frozen=True, slots=True)
class ApiResponses:
    """Remembers responses for a day, by token and key."""

    database: Database

    @writes
    async def begin(self, tx: Tx, token: str, key: str, request_sha256: str) -> StoredResponse | None:
        """The stored response of a repeated request; None if the caller shall process the request.

        Raises `KeyReusedError` for another request, and `ConflictError` while the first one is being processed.
        """
        await api_responses.forget_old(tx, tx.now_ms - KEPT_S * 1000)
        row = ApiResponseRow(token=token, key=key, request_sha256=request_sha256, at_ms=tx.now_ms)
        if await api_responses.begin(tx, row):
            return None
        known = await api_responses.find(tx, token, key)
        if known is not None and known.request_sha256 != request_sha256:
            raise KeyReusedError(
                "key_reused", "this Idempotency-Key was used for another request", "Use a new key for a new request."
            )
        if known is not None and known.status is not None:
            return StoredResponse(known.status, dict(known.headers), known.body)
        if await api_responses.restart(tx, token, key, tx.now_ms - ABANDONED_S * 1000):
            return None
        raise ConflictError(
            "in_progress", "the first request with this Idempotency-Key is in progress", "Try again soon."
        )

    @writes
    async def finish(self, tx: Tx, token: str, key: str, response: StoredResponse) -> None:
        """Store the response of a request."""
        await api_responses.finish(tx, token, key, response.status, response.headers, response.body)

    @writes
    async def forget(self, tx: Tx, token: str, key: str) -> None:
        """Let a request that failed for a passing reason be sent again with the same key."""
        await api_responses.forget(tx, token, key)
