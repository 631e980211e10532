"""Scenarios about what is loaded and evicted: complaints 1, 3, 4, 5, 7 and 8."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from core.model.errors import CountersignError
from tests.integration.complaints.complaint import cancelled, loads
from tests.integration.complaints.queues import Ask, Queue
from tests.shims.ollama.scheduler import GIB
from tests.shims.ollama.server import GpuShim
from tests.worker_harness import eventually


async def two_agents_thrash(queue: Queue, shims: Mapping[str, GpuShim]) -> str:
    """Two agents with a model each work turn by turn on a GPU that has room for one."""

    async def agent(name: str, model: str) -> None:
        for _ in range(6):
            await queue.ask(Ask((model,), agent=name))
        await queue.end_agent(name)

    await asyncio.gather(agent("one", "gpu/alpha"), agent("two", "gpu/beta"))
    return f"{loads(shims)} loads for two models" if loads(shims) > 4 else ""


async def other_contexts_reload(queue: Queue, shims: Mapping[str, GpuShim]) -> str:
    """Two clients use one model, and would ask for another context each."""
    for turn in range(6):
        await queue.ask(Ask(("gpu/alpha",), context=(1024, 2048)[turn % 2]))
    return f"{loads(shims)} loads of the same weights" if loads(shims) > 1 else ""


async def the_popular_model_goes(queue: Queue, shims: Mapping[str, GpuShim]) -> str:
    """Of two loaded models the popular one is first by its name; a third needs room."""
    await queue.ask(Ask(("gpu/beta",)))
    for _ in range(8):
        await queue.ask(Ask(("gpu/alpha",)))
    await queue.ask(Ask(("gpu/gamma",)))
    return "" if "alpha:latest" in shims["gpu"].resident else "alpha was evicted, and beta is kept"


async def a_swap_cuts_off_an_answer(queue: Queue, shims: Mapping[str, GpuShim]) -> str:
    """A request for another model arrives while a long answer is being written."""
    answer = asyncio.create_task(queue.ask(Ask(("gpu/alpha",), tokens=30)))
    await eventually(lambda: bool(shims["gpu"].scheduler.loaded) and shims["gpu"].scheduler.loading is None)
    await eventually(lambda: bool(shims["gpu"].requests))
    other = asyncio.create_task(queue.ask(Ask(("gpu/beta",))))
    try:
        await answer
    except CountersignError as error:
        return f"the answer was cut off: {error.problem.message}"
    finally:
        await asyncio.gather(other, return_exceptions=True)
    return "an answer was cut off" if shims["gpu"].cut_off else ""


async def models_are_counted(queue: Queue, shims: Mapping[str, GpuShim]) -> str:
    """Three small models, which fit together, are used in turn."""
    for _ in range(3):
        for model in ("gpu/small", "gpu/tiny", "gpu/mini"):
            await queue.ask(Ask((model,)))
    free_gib = shims["gpu"].scheduler.free_bytes / GIB
    return f"{loads(shims)} loads of three models, with {free_gib:.0f} GiB free" if loads(shims) > 3 else ""


async def foreign_memory_is_not_seen(queue: Queue, shims: Mapping[str, GpuShim]) -> str:
    """Another program has so much of a GPU that the model does not fit beside it; then it ends."""
    shim = shims["gpu"]
    assert shim.hardware.foreign_bytes, "an intruder was there from the beginning"
    asked = asyncio.create_task(queue.ask(Ask(("gpu/alpha",))))

    async def is_decided() -> bool:
        return asked.done() or "larger than the memory" in await queue.why("gpu/alpha")

    await eventually(is_decided)
    in_ram = [name for name, runner in shim.scheduler.loaded.items() if runner.ram_bytes]
    if in_ram:
        await cancelled(asked)
        return f"{in_ram[0]} was loaded where it does not fit"
    shim.hardware.foreign_bytes = 0
    await asked
    return ""
