"""Waits for what a served home does with its tasks."""

from __future__ import annotations

import asyncio

from core.model.lifecycle import State
from tests.window import Window


async def settled(window: Window, state: State, number: int = 1, revision: int | None = None) -> None:
    """Wait until a task is in `state`, at `revision` if that is given."""
    for _ in range(2_000):
        task = await window.served.task(number)
        if task.state is state and revision in (None, task.revision):
            return
        await asyncio.sleep(0.03)
    raise AssertionError(f"#{number} never became {state.value}")
