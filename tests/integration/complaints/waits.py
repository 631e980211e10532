"""Scenarios about who waits, for how long, and what is known of it: complaints 2, 6, 9, 10, 11 and 12."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from tests.integration.complaints.complaint import cancelled
from tests.integration.complaints.queues import Ask, Queue
from tests.shims.ollama.server import GpuShim, Mode
from tests.worker_harness import eventually


async def the_victim_is_never_idle(queue: Queue, shims: Mapping[str, GpuShim]) -> str:
    """Three clients keep a model busy without a gap; a chat for another model arrives."""
    answered = 0

    async def client() -> None:
        nonlocal answered
        while True:
            await queue.ask(Ask(("gpu/alpha",), is_chat=False, tokens=20))
            answered += 1

    clients = [asyncio.create_task(client()) for _ in range(3)]
    await eventually(lambda: answered >= 1)
    before = answered
    chat = asyncio.create_task(queue.ask(Ask(("gpu/beta",))))
    await eventually(lambda: chat.done() or answered - before >= 25)
    is_answered, why = chat.done(), await queue.why("gpu/beta")
    await cancelled(chat, *clients)
    return "" if is_answered else f"a request still waits after {answered - before} later ones were served: {why}"


async def a_load_hangs(queue: Queue, shims: Mapping[str, GpuShim]) -> str:
    """A load never ends, while the server answers every question about itself."""
    shims["gpu"].switch(Mode.STUCK_LOAD)
    asked = asyncio.create_task(queue.ask(Ask(("gpu/alpha", "other/alpha"))))
    await eventually(lambda: shims["gpu"].scheduler.loading is not None)
    questions = len(shims["gpu"].paths)

    async def is_over() -> bool:
        await queue.why("gpu/alpha")  # under a rival's rule this is what asks
        return asked.done() or len(shims["gpu"].paths) - questions > 60

    await eventually(is_over)
    is_answered = asked.done() and asked.exception() is None
    await cancelled(asked)
    return "" if is_answered else "the request waits for a load that hangs, and the server says that it is well"


async def a_waiter_is_lost(queue: Queue, shims: Mapping[str, GpuShim]) -> str:
    """Two requests for two other models arrive together while the loaded one is idle (llama.cpp 28443)."""
    await queue.ask(Ask(("gpu/alpha",)))
    waiters = {model: asyncio.create_task(queue.ask(Ask((model,)))) for model in ("gpu/beta", "gpu/gamma")}
    await eventually(lambda: any(each.done() for each in waiters.values()))
    served = next(model for model, each in waiters.items() if each.done())
    later = 0
    while later < 30 and not all(each.done() for each in waiters.values()):
        await queue.ask(Ask((served,)))
        later += 1
    lost = [model for model, each in waiters.items() if not each.done()]
    await cancelled(*waiters.values())
    return f"{lost[0]} still waits after {later} later requests were served" if lost else ""


async def a_dead_runner_is_asked(queue: Queue, shims: Mapping[str, GpuShim]) -> str:
    """A runner hangs, and is listed as loaded; another endpoint has the same model."""
    assert await queue.ask(Ask(("gpu/alpha", "other/alpha"))) == "gpu/alpha"
    shims["gpu"].switch(Mode.WEDGE)
    for _ in range(5):
        asked_before = shims["gpu"].paths.count("/api/chat")
        asked = asyncio.create_task(queue.ask(Ask(("gpu/alpha", "other/alpha"))))
        others = 0
        while not asked.done() and others < 200:
            await queue.ask(Ask(("other/small",)))
            others += 1
        is_answered = asked.done() and asked.exception() is None
        await cancelled(asked)
        if not is_answered:
            return f"the request hangs at a runner that is listed as loaded; {others} others were answered"
        if shims["gpu"].paths.count("/api/chat") == asked_before:
            return ""  # it is skipped now
    return "the dead runner is asked again and again"


async def a_chat_waits_behind_bulk(queue: Queue, shims: Mapping[str, GpuShim]) -> str:
    """A person asks while a batch of twelve requests waits."""
    finished = 0

    async def bulk() -> None:
        nonlocal finished
        await queue.ask(Ask(("gpu/alpha",), is_chat=False, tokens=6))
        finished += 1

    batch = [asyncio.create_task(bulk()) for _ in range(12)]
    await eventually(lambda: finished >= 1)
    before = finished
    await queue.ask(Ask(("gpu/alpha",)))
    behind = finished - before
    await cancelled(*batch)
    return f"the chat waited for {behind} of the batch" if behind > 4 else ""


async def a_neighbour_starves_the_rest(queue: Queue, shims: Mapping[str, GpuShim]) -> str:
    """Twelve requests of one person wait, and then another person's first one arrives."""
    finished = 0

    async def noisy() -> None:
        nonlocal finished
        await queue.ask(Ask(("gpu/alpha",), person="ana", tokens=6))
        finished += 1

    batch = [asyncio.create_task(noisy()) for _ in range(12)]
    await eventually(lambda: finished >= 1)
    before = finished
    await queue.ask(Ask(("gpu/alpha",), person="bo", tokens=6))
    behind = finished - before
    await cancelled(*batch)
    return f"bo waited for {behind} requests of ana" if behind > 4 else ""


async def nothing_is_known_of_a_wait(queue: Queue, shims: Mapping[str, GpuShim]) -> str:
    """A request waits for the memory of a model that works; its person asks why."""
    work = asyncio.create_task(queue.ask(Ask(("gpu/alpha",), is_chat=False, tokens=150)))
    await eventually(lambda: bool(shims["gpu"].requests))
    waiting = asyncio.create_task(queue.ask(Ask(("gpu/beta",))))
    why = ""
    while not why and not work.done():
        why = await queue.why("gpu/beta")
        await asyncio.sleep(0.05)
    await cancelled(work, waiting)
    return "" if "beta" in why else "nothing says that the request waits, or why"
