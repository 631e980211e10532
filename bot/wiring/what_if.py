"""Wires the "what if" of the pages: this home's history, and one simulation at a time in a thread."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from core.model.errors import Kind, NotFoundError, PermanentError

if TYPE_CHECKING:
    from core.services.queue_history import QueueHistory
    from core.simulator.what_if import WhatIfAnswer, WhatIfQuestion


class WhatIfs:
    """Answers one question at a time, so that simulations take at most one core."""

    def __init__(self, history: QueueHistory) -> None:
        self._history = history
        self._is_busy = False

    async def answer(self, question: WhatIfQuestion) -> WhatIfAnswer:
        """Replay the history on other endpoints; raises `PermanentError` while another question is answered."""
        from bot.simulation.what_if import answer

        if self._is_busy:
            message = "another simulation runs"
            raise PermanentError("busy", message, "Try again in a minute.", kind=Kind.UNAVAILABLE)
        self._is_busy = True
        try:
            history = await self._history.trace(datetime.now(UTC) - timedelta(days=question.days))
            if not history:
                message = "no finished work has asked a model in that time, so there is no history"
                raise NotFoundError("no_history", message, "Let the queue work for a while, or look at more days.")
            return await asyncio.to_thread(answer, history, question)
        finally:
            self._is_busy = False
