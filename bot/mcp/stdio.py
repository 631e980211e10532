"""The server on standard input and output, for a client on this machine."""

from __future__ import annotations

from mcp.server.stdio import stdio_server

from bot.mcp.server import build_server
from bot.mcp.services import McpHome
from bot.mcp.tools import Caller


async def serve_stdio(home: McpHome, caller: Caller) -> None:
    """Serve one client until it closes standard input."""
    server = build_server(home, caller)
    async with stdio_server() as (received, sent):
        await server.run(received, sent, server.create_initialization_options())
