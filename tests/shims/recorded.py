"""A server that gives recorded answers: for each path JSON, text, bytes or a status; every other path is 404."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from aiohttp import web


class RecordedServer:
    """Answers from `answers`: a path, with its query if it has one, to a JSON value, a text, bytes or (status, JSON).

    `asked` are the requests so far, as ``GET /path?query``; `bodies` what was posted.
    """

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = dict(answers)
        self.asked: list[str] = []
        self.bodies: list[Any] = []
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.raw_path}")
        if request.method == "POST":
            self.bodies.append(await request.json())
        answer = self.answers.get(request.raw_path)
        match answer:
            case None:
                return web.json_response({"error": {"code": 404, "message": "File Not Found"}}, status=404)
            case bytes():
                return web.Response(body=answer, content_type="application/json")
            case str():
                return web.Response(text=answer)
            case (int() as status, body):
                return web.json_response(body, status=status)
            case _:
                return web.json_response(answer)
