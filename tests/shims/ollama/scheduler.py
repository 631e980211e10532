"""Ollama's own scheduler, as `server/sched.go` of https://github.com/ollama/ollama has it.

A request for a loaded model is served at once. All others wait in one queue whose head blocks the rest, and one model
is loaded at a time. When memory or the number of models does not suffice, the victim is the first idle runner in the
order of (keep_alive, name); if none is idle, the first one, once it is. Another context length loads the same weights
again. Nothing that runs is cut off.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

GIB = 1024**3


@dataclass(frozen=True, slots=True)
class ShimModel:
    """One model: its weights in bytes, its KV cache for a token, and how long it loads from disk and from RAM."""

    weights_bytes: int
    kv_bytes_per_token: int = 131_072
    load_s: float = 2.0
    wake_s: float = 0.5

    def needs(self, context: int, parallel: int) -> int:
        """The memory of a load."""
        return self.weights_bytes + self.kv_bytes_per_token * context * parallel


@dataclass(slots=True)
class Hardware:
    """The machine: memory of its GPUs and its RAM in bytes, and how much of the first other programs have."""

    memory_bytes: int = 24 * GIB
    ram_bytes: int = 64 * GIB
    foreign_bytes: int = 0
    max_models: int = 3
    parallel: int = 1
    max_queue: int = 512


class QueueFullError(Exception):
    """As many requests wait as may."""


class LoadFailedError(Exception):
    """A runner did not start; its text is Ollama's."""


@dataclass(slots=True, eq=False)
class Runner:
    """A loaded model: who uses it, until when it stays, and where its memory is."""

    name: str
    context: int
    keep_alive: timedelta
    vram_bytes: int
    ram_bytes: int
    slots: asyncio.Semaphore
    users: int = 0
    expires_at: datetime | None = None
    is_idle: asyncio.Event = field(default_factory=asyncio.Event)
    timer: asyncio.TimerHandle | None = None


@dataclass(slots=True, eq=False)
class Waiting:
    """A request in the queue."""

    name: str
    context: int
    keep_alive: timedelta
    runner: asyncio.Future[Runner]


@dataclass(slots=True)
class Tally:
    """What happened: loads from disk and from RAM, evictions, expiries, failed loads, and seconds spent loading."""

    loads: int = 0
    wakes: int = 0
    evictions: int = 0
    expiries: int = 0
    failed_loads: int = 0
    loading_s: float = 0.0
    log: list[dict[str, Any]] = field(default_factory=list)


class OllamaScheduler:
    """Grants runners to requests. `speed` divides every duration, so that a bench need not wait in real time.

    `load_fault` gives the text of a failing load, or None; `load_factor` makes loads slower.
    """

    def __init__(self, models: dict[str, ShimModel], hardware: Hardware, *, speed: float = 1.0) -> None:
        self.models, self.hardware, self.speed = models, hardware, speed
        self.loaded: dict[str, Runner] = {}
        self.tally = Tally()
        self.load_fault: Callable[[str], str | None] = lambda _name: None
        self.load_factor = 1.0
        self.loading: str | None = None
        self._queue: asyncio.Queue[Waiting] = asyncio.Queue()
        self._cached: OrderedDict[str, int] = OrderedDict()
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to serve the queue."""
        self._loop = asyncio.create_task(self._serve_queue())

    async def stop(self) -> None:
        """Serve the queue no more."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)
        for runner in list(self.loaded.values()):
            self._unload(runner)

    @property
    def waiting(self) -> int:
        """How many requests are in the queue."""
        return self._queue.qsize()

    @property
    def free_bytes(self) -> int:
        """The free memory of the GPUs."""
        taken = sum(runner.vram_bytes for runner in self.loaded.values())
        return max(0, self.hardware.memory_bytes - self.hardware.foreign_bytes - taken)

    @asynccontextmanager
    async def runner(self, name: str, context: int, keep_alive: timedelta) -> AsyncIterator[Runner]:
        """A runner of the model for one request; raises `QueueFullError` or `LoadFailedError`."""
        runner = self.loaded.get(name)
        if runner is not None and runner.context == context:
            self._take(runner, keep_alive)
        else:
            if self._queue.qsize() >= self.hardware.max_queue:
                raise QueueFullError
            waiting = Waiting(name, context, keep_alive, asyncio.get_running_loop().create_future())
            self._queue.put_nowait(waiting)
            runner = await waiting.runner
        try:
            async with runner.slots:
                yield runner
        finally:
            self._release(runner)

    def unload(self, name: str) -> None:
        """Unload a model as soon as it is idle (``keep_alive: 0`` without a prompt)."""
        runner = self.loaded.get(name)
        if runner is not None:
            runner.keep_alive = timedelta()
            if not runner.users:
                self._unload(runner)

    async def _serve_queue(self) -> None:
        while True:
            waiting = await self._queue.get()
            if waiting.runner.cancelled():  # its client went away
                continue
            try:
                runner = await self._runner_for(waiting)
            except LoadFailedError as error:
                self.tally.failed_loads += 1
                if not waiting.runner.cancelled():
                    waiting.runner.set_exception(error)
                continue
            if waiting.runner.cancelled():
                self._start_timer(runner)
                continue
            self._take(runner, waiting.keep_alive)
            waiting.runner.set_result(runner)

    async def _runner_for(self, waiting: Waiting) -> Runner:
        """The runner for the head of the queue, after whatever has to go for it is gone."""
        while True:
            runner = self.loaded.get(waiting.name)
            if runner is not None and runner.context == waiting.context:
                return runner
            need = self.models[waiting.name].needs(waiting.context, self.hardware.parallel)
            if runner is not None:  # the same weights with another context
                victim = runner
            elif self.loaded and (need > self.free_bytes or len(self.loaded) >= self.hardware.max_models):
                victim = self._victim()
            else:
                return await self._load(waiting, need)
            victim.keep_alive = timedelta()
            if victim.users:
                victim.is_idle.clear()
                await victim.is_idle.wait()
            self._unload(victim)
            self.tally.evictions += 1

    def _victim(self) -> Runner:
        ordered = sorted(self.loaded.values(), key=lambda runner: (runner.keep_alive, runner.name))
        idle = [runner for runner in ordered if not runner.users]
        return (idle or ordered)[0]

    async def _load(self, waiting: Waiting, need: int) -> Runner:
        model, is_warm = self.models[waiting.name], waiting.name in self._cached
        seconds = (model.wake_s if is_warm else model.load_s) * self.load_factor / self.speed
        self.loading = waiting.name
        try:
            await asyncio.sleep(seconds)
        finally:
            self.loading = None
        if fault := self.load_fault(waiting.name):
            raise LoadFailedError(fault)
        vram = min(need, self.free_bytes)
        slots = asyncio.Semaphore(self.hardware.parallel)
        runner = Runner(waiting.name, waiting.context, waiting.keep_alive, vram, need - vram, slots)
        self.loaded[waiting.name] = runner
        self._cache(waiting.name)
        self.tally.loading_s += seconds * self.speed
        self.tally.wakes += is_warm
        self.tally.loads += not is_warm
        return runner

    def _cache(self, name: str) -> None:
        """Keep the file of a loaded model in RAM, as the page cache does, and drop what was used longest ago."""
        self._cached[name] = self.models[name].weights_bytes
        self._cached.move_to_end(name)
        while sum(self._cached.values()) > self.hardware.ram_bytes:
            self._cached.popitem(last=False)

    def _take(self, runner: Runner, keep_alive: timedelta) -> None:
        runner.users += 1
        runner.keep_alive = keep_alive
        if runner.timer is not None:
            runner.timer.cancel()
            runner.timer = None
        self._cache(runner.name)

    def _release(self, runner: Runner) -> None:
        runner.users -= 1
        if not runner.users:
            runner.is_idle.set()
            self._start_timer(runner)

    def _start_timer(self, runner: Runner) -> None:
        seconds = runner.keep_alive.total_seconds()
        if self.loaded.get(runner.name) is not runner or runner.users:
            return
        if seconds <= 0:
            self._unload(runner)
            return
        runner.expires_at = datetime.now(UTC) + runner.keep_alive / self.speed
        wait_s = min(seconds / self.speed, 10_000_000.0)
        runner.timer = asyncio.get_running_loop().call_later(wait_s, self._expire, runner)

    def _expire(self, runner: Runner) -> None:
        if not runner.users and self.loaded.get(runner.name) is runner:
            self._unload(runner)
            self.tally.expiries += 1

    def _unload(self, runner: Runner) -> None:
        if runner.timer is not None:
            runner.timer.cancel()
        if self.loaded.get(runner.name) is runner:
            del self.loaded[runner.name]
