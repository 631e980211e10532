"""The stream of events: it can be resumed without a gap, and ends with its token."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import httpx
import pytest

from bot.web.api.event_feed import MAX_STREAMS_OF_TOKEN
from tests.builders import LEE
from tests.integration.api.api_home import WITHIN_S, body_of

pytestmark = [pytest.mark.surfaces, pytest.mark.xdist_group("api")]


Events = AsyncGenerator[dict[str, Any], None]


async def events_of(client: httpx.AsyncClient, path: str = "/events/stream", **headers: str) -> Events:
    """The events of a stream, as they arrive."""
    async with client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                yield json.loads(line[6:])


async def first(client: httpx.AsyncClient, count: int, **more: str) -> list[dict[str, Any]]:
    """The first `count` events of a stream."""
    found = []
    async with asyncio.timeout(WITHIN_S), aclosing(events_of(client, **more)) as stream:
        async for event in stream:
            found.append(event)
            if len(found) == count:
                break
    return found


async def test_a_stream_that_is_resumed_misses_nothing_and_repeats_nothing(api):
    client = await api.client("lee", "read")
    everything = body_of(await client.get("/events?limit=1000"))["events"]
    seen = await first(client, 3, **{"Last-Event-ID": "0"})
    while len(seen) < len(everything):
        wanted = min(4, len(everything) - len(seen))
        seen += await first(client, wanted, **{"Last-Event-ID": str(seen[-1]["id"])})
    assert seen == everything


async def test_a_new_event_arrives_while_the_stream_is_open(api):
    client = await api.client("lee", "read", repositories=("web",))
    waiting = asyncio.create_task(first(client, 1))
    number = 0
    while not waiting.done():  # an event before the stream begins is not new to it
        await api.ask(repo="hidden")
        number = await api.ask(repo="web")
        await asyncio.wait([waiting], timeout=0.5)
    (event,) = await waiting
    assert event["kind"] == "task.requested"
    assert event["task"] <= number
    assert event["body"]["repo"] == "web"


async def test_a_stream_of_one_task_has_its_events_alone(api):
    client = await api.client("lee", "read")
    seen = await first(client, 3, path="/events/stream?task=1", **{"Last-Event-ID": "0"})
    assert {event["task"] for event in seen} == {1}


async def test_a_stream_ends_when_its_token_is_revoked(api):
    token, written = await api.token("lee", "read")
    client = api.bare_client({"Authorization": f"Bearer {written}"})

    async def to_the_end() -> int:
        return len([event async for event in events_of(client, **{"Last-Event-ID": "0"})])

    async with asyncio.timeout(WITHIN_S):
        reading = asyncio.create_task(to_the_end())
        await asyncio.sleep(0)
        await api.app.api_tokens.revoke(token.id, LEE)  # itself an event, which wakes the stream
        while not reading.done():
            await api.ask()
            await asyncio.wait([reading], timeout=0.5)


async def test_an_event_id_that_is_none_is_refused(api):
    client = await api.client("lee", "read")
    for value in ("x", "-1", "1.5", "9" * 40, "²"):
        answer = await client.get("/events/stream", headers={"Last-Event-ID": value.encode()})
        assert (answer.status_code, body_of(answer)["code"]) == (400, "bad_event_id")


async def test_a_token_has_a_limited_number_of_streams(api):
    client = await api.client("lee", "read")
    async with asyncio.timeout(WITHIN_S):
        streams = [events_of(client, **{"Last-Event-ID": "0"}) for _ in range(MAX_STREAMS_OF_TOKEN)]
        for stream in streams:
            await anext(stream)
        answer = await client.get("/events/stream")
        assert (answer.status_code, body_of(answer)["code"]) == (503, "too_many_streams")
        for stream in streams:
            await stream.aclose()
        while (await first_status(client)) != 200:  # noqa: ASYNC110 (the server notices in its own time)
            await asyncio.sleep(0.05)


async def first_status(client: httpx.AsyncClient) -> int:
    async with client.stream("GET", "/events/stream") as answer:
        return answer.status_code
