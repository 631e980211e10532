"""The route of the MCP server, behind the gate of the API; the SDK is imported at the first valid token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.routing import Route

from bot.web.api.gate import ApiGate
from bot.web.api.rates import ApiQuotas

if TYPE_CHECKING:
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp

    from bot.web.api.services import ApiServices

PATH: Final = "/mcp"


def mcp_routes(services: ApiServices) -> list[BaseRoute]:
    """The route of the MCP server, for the web server."""
    return [Route(PATH, ApiGate(services, lambda _server: _endpoint(services), ApiQuotas()))]


def _endpoint(services: ApiServices) -> ASGIApp:
    from bot.mcp.streamable import McpEndpoint

    return McpEndpoint(services)
