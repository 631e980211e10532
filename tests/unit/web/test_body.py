"""Bodies of webhooks: read as they were sent, within bounds of size and time."""

from __future__ import annotations

import asyncio
import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from bot.web.body import BodyError, read_body

pytestmark = pytest.mark.surfaces


def request(chunks, headers=None, *, ends=True, disconnects=False):
    """A request whose body comes in `chunks`, as a server hands it over; without `ends` it hangs after them."""
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages += [{"type": "http.disconnect"}] if disconnects else []
    messages += [{"type": "http.request", "body": b"", "more_body": False}] if ends else []
    given, sent = iter(messages), []

    async def receive():
        message = next(given, None)
        if message is None:
            await asyncio.Event().wait()
        sent.append(message)
        return message

    raw = [(name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
    made = Request({"type": "http", "method": "POST", "path": "/", "headers": raw}, receive)
    return made, sent


async def status_of(chunks, headers=None, limit_bytes=10, within_s=5.0, **how):
    made, sent = request(chunks, headers, **how)
    with pytest.raises(BodyError) as refused:
        await read_body(made, limit_bytes, within_s)
    return refused.value.status, len(sent)


@given(st.lists(st.binary(max_size=20), max_size=8), st.integers(0, 60))
def test_a_body_is_read_whole_up_to_the_limit_and_refused_beyond(chunks, limit_bytes):
    body = b"".join(chunks)

    async def read():
        made, _ = request(chunks)
        return await read_body(made, limit_bytes, 5)

    if len(body) <= limit_bytes:
        assert asyncio.run(read()) == body
    else:
        with pytest.raises(BodyError) as refused:
            asyncio.run(read())
        assert refused.value.status == 413


async def test_an_announced_length_beyond_the_limit_is_refused_unread():
    assert await status_of([b"x"], {"content-length": "11"}) == (413, 0)
    assert await status_of([b"x"], {"content-length": "9" * 5000}) == (413, 0)
    made, _ = request([b"x" * 10], {"content-length": "10"})
    assert await read_body(made, 10, 5) == b"x" * 10


@pytest.mark.parametrize("length", ["", "abc", "-1", "+1", "1.5", "0x10", "1, 1", "\xb2"])
async def test_a_length_that_is_no_number_is_refused_unread(length):
    assert await status_of([b"x"], {"content-length": length}) == (400, 0)


async def test_a_length_that_lies_does_not_lift_the_limit():
    assert await status_of([b"x" * 8, b"y" * 8, b"z" * 8], {"content-length": "5"}) == (413, 2)


async def test_an_endless_body_without_a_length_is_cut_at_the_limit():
    assert await status_of([b"x" * 4] * 1000) == (413, 3)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "x-gzip", "gzip, identity", "GZIP", "?"])
async def test_a_packed_body_is_refused_unread(encoding):
    bomb = gzip.compress(b"\0" * 1_000_000)
    assert await status_of([bomb], {"content-encoding": encoding}, limit_bytes=10_000) == (415, 0)


async def test_a_body_that_says_it_is_not_packed_is_read():
    made, _ = request([b"x"], {"content-encoding": "identity"})
    assert await read_body(made, 10, 5) == b"x"


async def test_a_slow_body_is_cut():
    assert await status_of([b"x"], within_s=0.05, ends=False) == (408, 1)


async def test_a_body_that_ends_early_is_refused():
    assert await status_of([b"x"], disconnects=True) == (400, 2)
