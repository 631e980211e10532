"""The output of running work: streamed while someone looks, inert, masked and bounded; not stored while no one does."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import func, select

from bot.web.pages.live_output import pieces_html
from core.jobs.output_lines import MAX_LINE_BYTES, SHOWN_LINE_BYTES, TAIL_BYTES, OutputLines
from core.model.job_output import OutputPiece
from core.model.lifecycle import State
from core.model.turn import Actor
from core.store.output_tables import JobOutputRow
from core.store.unit_of_work import Tx
from tests.homes import CliHome
from tests.integration.window.waiting import settled
from tests.window import Visit, Window, open_window

pytestmark = [pytest.mark.window, pytest.mark.xdist_group("window")]
WORDS = ("--lane", "scripted", "--repo", "web", "--as", "ana")
TOKEN = "ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
CODE = f"""
import time
print("<script>alert(1)</script> \\u202e token {TOKEN}", flush=True)
for n in range(1100):
    print("tick", n, flush=True)
    time.sleep(0.05)
"""


async def test_output_is_streamed_inert_from_where_a_reader_was_and_only_while_someone_looks(home: CliHome) -> None:
    home.scripted(CODE)
    async with open_window(home) as window:
        lee = await window.signed_in("lee")
        app = window.served.app
        number = (await asyncio.to_thread(home.document, "ask", "run the ticking", *WORDS))["number"]
        await settled(window, State.RUNNING, number)
        assert await stored(window) == 0
        first = await messages(lee, f"/tasks/{number}/output/stream", count=1)
        whole = first[0][1]
        assert "&lt;script&gt;alert(1)&lt;/script&gt; \\u{202e} token [redacted" in whole
        assert TOKEN not in whole
        page = (await lee.get(f"/tasks/{number}")).text
        assert "&lt;script&gt;alert(1)" in page
        assert "<script>alert" not in page
        assert f"/tasks/{number}/output/stream?after=" in page
        again = await messages(lee, f"/tasks/{number}/output/stream", count=1, after=first[0][0])
        assert "alert(1)" not in again[0][1]
        assert "tick" in again[0][1]
        assert again[0][0] > first[0][0]
        await app.requests.cancel(number, Actor("ana", "terminal"))
        await settled(window, State.CANCELLED, number)
        over = (await lee.get(f"/tasks/{number}/output/stream?after={again[0][0]}")).text
        assert "event: over" in over
        assert "Nothing runs now" in (await lee.get(f"/tasks/{number}/output")).text
        assert (await lee.get("/tasks/999/output/stream")).status_code == 404


def test_a_private_key_and_a_long_line_are_never_cut_where_their_rest_would_show() -> None:
    lines = OutputLines(secret="endpoint-key")
    lines.add(b"one endpoint-key\n-----BEGIN RSA PRIVATE KEY-----\nabc\n")
    assert lines.take() == "one [hidden]\n"
    lines.add(b"def\n-----END RSA PRIVATE KEY-----\ntwo")
    assert lines.take() == "-----BEGIN RSA PRIVATE KEY-----\nabc\ndef\n-----END RSA PRIVATE KEY-----\n"
    lines.add(b"y" * MAX_LINE_BYTES * 2 + b"rest\nthree\n")
    taken = lines.take()
    assert len(taken) < SHOWN_LINE_BYTES + 20
    assert taken.endswith("…\nthree\n")
    lines.add(b"-----BEGIN RSA PRIVATE KEY-----\n" + b"key\n" * TAIL_BYTES + b"-----END RSA PRIVATE KEY-----\nfour\n")
    taken = lines.take()
    assert "key" not in taken
    assert taken.endswith("four\n")
    assert "bytes left out" in taken


def test_pieces_of_one_program_have_one_heading_and_messages_of_agents_say_who_speaks() -> None:
    pieces = [
        OutputPiece(1, "test.check-unit.log", "a\x1b[31m\n", 0),
        OutputPiece(2, "test.check-unit.log", "b\n", 0),
        OutputPiece(3, "transcript.jsonl", '{"role": "assistant", "content": "<b>hi</b>"}\n', 0),
    ]
    html = pieces_html(pieces)
    assert html.count("<h3>test.check-unit</h3>") == 1
    assert "a\\x1b[31m" in html
    assert "assistant: &lt;b&gt;hi&lt;/b&gt;" in html


async def stored(window: Window) -> int:
    """How many pieces of output are stored."""

    async def count(tx: Tx) -> Any:
        return (await tx.session.execute(select(func.count()).select_from(JobOutputRow))).scalar()

    return int(await window.served.app.database.read(count))


async def messages(visit: Visit, path: str, count: int, after: int = 0) -> list[tuple[int, str]]:
    """The first messages of a stream, as (id, HTML)."""
    headers = {"last-event-id": str(after)} if after else {}
    found: list[tuple[int, str]] = []
    async with asyncio.timeout(60), visit.client.stream("GET", path, headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        async for id_, text in _events(response.aiter_lines()):
            found.append((id_, text))
            if len(found) == count:
                break
    return found


async def _events(lines: AsyncIterator[str]) -> AsyncIterator[tuple[int, str]]:
    id_, data = 0, list[str]()
    async for line in lines:
        if match := re.fullmatch(r"id: (\d+)", line):
            id_ = int(match[1])
        elif line.startswith("data: "):
            data.append(line[6:])
        elif not line and data:
            yield id_, "\n".join(data)
            data.clear()
