"""The server over streamable HTTP: one request, one answer, no sessions. Importing this module imports the SDK."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.responses import Response

from bot.mcp.server import build_server
from bot.mcp.services import McpHome
from bot.mcp.tools import Caller
from bot.web.api.mount import TOKEN
from bot.web.api.problems import ApiError, problem_response
from core.model.api_token import ApiToken
from core.model.errors import UsageError
from core.model.turn import MCP

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

MAX_BODY_BYTES: Final = 512 * 1024


class McpEndpoint:
    """Answers one message a request, for the owner of its token. Nothing is kept between requests."""

    def __init__(self, home: McpHome) -> None:
        self._home = home

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request that passed the gate."""
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        manager = StreamableHTTPSessionManager(
            app=build_server(self._home, caller_of(scope[TOKEN])),
            json_response=True,
            stateless=True,
            max_request_body_size=MAX_BODY_BYTES,
        )
        async with manager.run():
            await manager.handle_request(scope, receive, send)

    @staticmethod
    def _refusal(scope: Scope) -> Response | None:
        if scope["method"] != "POST":  # no stream of the server's own, and no session to end
            return problem_response(ApiError(405, "bad_method", "only POST is allowed here", headers={"Allow": "POST"}))
        if scope[TOKEN].person is None:
            mend = "Create one with `countersign tokens create NAME --as PERSON --scope read --scope request`."
            return problem_response(UsageError("who", "a token of the operator does not say which person acts", mend))
        return None


def caller_of(token: ApiToken) -> Caller:
    """The caller with this token; the scopes `approve` and `operate` open nothing here."""
    return Caller(token.id, replace(token.actor(), surface=MCP, is_operator=False), token.scopes)
