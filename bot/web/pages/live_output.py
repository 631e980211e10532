"""The output of running work: the newest part on a task's pages, and a stream that goes on from there.

Programs and models wrote it: it is masked by the worker, and here it is escaped and odd characters are written out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response, StreamingResponse
from markupsafe import Markup

from bot.cards.safe import one_line
from bot.web.pages.transcripts import entries_of
from bot.web.site.live import StillAllowed
from bot.web.site.site_context import SiteContext, task_number, visitor_of
from core.log import log
from core.model.errors import CountersignError, Kind
from core.model.job_output import PROGRESS, OutputPiece
from core.model.masking import no_mask
from core.model.turn import Actor
from core.services.live_output import LiveOutputs

LOOK_EVERY_S: Final = 1.0
PING_EVERY_S: Final = 20.0
MAX_STREAMS: Final = 200
OVER: Final = "over"
"""The name of the message that no more output comes; the page closes the stream."""


@dataclass(frozen=True, slots=True)
class OutputView:
    """The newest output of a task as HTML, and where the stream goes on; shown while a job runs or can run soon."""

    html: Markup
    last: int
    is_shown: bool
    is_over: bool


class OutputStreams:
    """The open streams of output, one for each page that shows a running task."""

    def __init__(self, outputs: LiveOutputs, look_every_s: float = LOOK_EVERY_S) -> None:
        self._outputs, self._look_every_s = outputs, look_every_s
        self._open = 0

    @property
    def is_full(self) -> bool:
        """Whether no further stream is opened now."""
        return self._open >= MAX_STREAMS

    async def stream(
        self, number: int, actor: Actor, after: int, still_allowed: StillAllowed, is_stopping: Callable[[], bool]
    ) -> AsyncGenerator[bytes]:
        """Server-sent events with the output after the piece `after`; each has the id to go on from.

        It ends when the work is over, the task is not visible any more, or the session or the server ends.
        """
        self._open += 1
        try:
            yield b": open\n\n"
            quiet_s, name = 0.0, ""
            while not is_stopping():
                look = await self._outputs.look(number, actor, after)
                if (look.pieces or quiet_s >= PING_EVERY_S) and not await still_allowed():
                    return
                if look.pieces:
                    after = look.pieces[-1].id
                    yield _message(pieces_html(look.pieces, name), after)
                    quiet_s, name = 0.0, look.pieces[-1].name
                elif look.is_over:
                    yield f"event: {OVER}\ndata: {after}\n\n".encode()
                    return
                elif quiet_s >= PING_EVERY_S:
                    yield b": still open\n\n"
                    quiet_s = 0.0
                await asyncio.sleep(self._look_every_s)
                quiet_s += self._look_every_s
        except CountersignError as error:
            if error.problem.kind is not Kind.MISSING:
                log.warning("output_not_read", task=number, problem=error.problem.message)
        finally:
            self._open -= 1


def router(site: SiteContext) -> APIRouter:
    """The routes of the output."""
    routes, streams = APIRouter(), OutputStreams(site.services.live_outputs)

    @routes.get("/tasks/{number:int}/output")
    async def output(request: Request) -> Response:
        values: dict[str, Any] = {"number": task_number(request), "output": await output_of(site, request)}
        return site.render.page(request, "output.html", **values)

    @routes.get("/tasks/{number:int}/output/stream")
    async def stream(request: Request) -> Response:
        number, visitor = task_number(request), visitor_of(request)
        await site.services.live_outputs.look(number, visitor.session.actor)  # 404 before the stream begins
        if streams.is_full:
            return PlainTextResponse("Too many pages are open.\n", 503, {"retry-after": "60"})

        async def still_allowed() -> bool:
            return await site.services.web_sessions.of_cookie(visitor.cookie) is not None

        after = request.headers.get("last-event-id") or request.query_params.get("after", "")
        last = int(after) if after.isascii() and after.isdecimal() and len(after) < 16 else 0
        events = streams.stream(number, visitor.session.actor, last, still_allowed, lambda: site.live.is_closed)
        return StreamingResponse(events, media_type="text/event-stream")

    return routes


async def output_of(site: SiteContext, request: Request) -> OutputView:
    """The newest output of the task that the request names."""
    look = await site.services.live_outputs.look(task_number(request), visitor_of(request).session.actor)
    last = look.pieces[-1].id if look.pieces else 0
    return OutputView(pieces_html(look.pieces), last, not look.is_over, look.is_over)


def pieces_html(pieces: Iterable[OutputPiece], before: str = "") -> Markup:
    """Pieces as HTML, each under the name of its program unless the piece before has the same; `before` is its name."""
    html: list[Markup] = []
    for piece in pieces:
        heading = Markup("") if piece.name == before else Markup("<h3>{}</h3>").format(_heading(piece.name))
        text = "\n".join(
            f"{entry.who}: {entry.text}" if entry.who else entry.text
            for entry in entries_of(piece.name, piece.text.encode("utf-8", "replace"), no_mask)
        )
        html.append(Markup('<section class="message">{}<pre>{}</pre></section>').format(heading, text))
        before = piece.name
    return Markup("").join(html)


def _heading(name: str) -> str:
    return "Progress" if name == PROGRESS else one_line(name.removesuffix(".log"), 80)


def _message(html: Markup, last: int) -> bytes:
    lines = "".join(f"data: {line}\n" for line in html.split("\n"))
    return f"id: {last}\n{lines}\n".encode("utf-8", "replace")
