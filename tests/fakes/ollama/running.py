"""The fake Ollama in a thread of its own, for tests that block: subprocesses, and the command line in this process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.fakes.ollama.script import Script, Turn
from tests.fakes.ollama.server import OllamaShim


@contextmanager
def running_shim(script: Script | Turn | None = None, **options: Any) -> Iterator[OllamaShim]:
    """A running shim, with the options of `OllamaShim`; fails at the end on violations that the test did not take."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="fake-ollama", daemon=True)
    thread.start()
    try:
        shim = _within(loop, _made(script, options))
        try:
            yield shim
        except BaseException:
            shim.violations.clear()
            raise
        finally:
            _within(loop, shim.stop())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


async def _made(script: Script | Turn | None, options: dict[str, Any]) -> OllamaShim:
    shim = OllamaShim(script, **options)
    await shim.start()
    return shim


def _within(loop: asyncio.AbstractEventLoop, work: Any) -> Any:
    return asyncio.run_coroutine_threadsafe(work, loop).result(60)
