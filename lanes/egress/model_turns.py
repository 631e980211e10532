"""The turns of an agent program: each request to a model waits for a lease before it is forwarded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from aiohttp import web

from core.model.model_lease import ModelPlace, ModelWork, current_work, working_for
from core.ports.leases import ModelLeases
from lanes.models.endpoint import Endpoint, ModelName

_LOOK_EVERY_S: Final = 1.0


class ClientGoneError(Exception):
    """The program closed its connection while its request waited for a model."""


@dataclass(frozen=True, slots=True)
class ModelTurns:
    """Acquires the models of an `endpoint`, for the work in which this was created; without `leases` at once.

    The program has its sandbox already, so its job keeps its worker slot while a turn waits: otherwise a worker would
    start more sandboxes than it has slots.
    """

    endpoint: Endpoint
    leases: ModelLeases | None
    work: ModelWork = field(default_factory=current_work)

    @asynccontextmanager
    async def lease(
        self, request: web.Request, model: str, log_fields: list[object]
    ) -> AsyncIterator[ModelPlace | None]:
        """The right to forward a request.

        Raises:
            LeaseRefusedError: The model cannot be had now.
            ClientGoneError: The program did not wait for it.
        """
        if self.leases is None:
            yield None
            return
        name = str(ModelName(self.endpoint.name, model))
        began_s = monotonic()
        async with AsyncExitStack() as stack:
            with working_for(self.work):
                lease = self.leases.lease(name, keeps_slot=True)
                entering = asyncio.ensure_future(stack.enter_async_context(lease))
            try:
                while not entering.done():
                    await asyncio.wait({entering}, timeout=_LOOK_EVERY_S)
                    if not entering.done() and (request.transport is None or request.transport.is_closing()):
                        raise ClientGoneError
                place = entering.result()
            finally:
                if not entering.done():
                    entering.cancel()
                    await asyncio.wait({entering})
            if (waited_s := monotonic() - began_s) >= _LOOK_EVERY_S:
                log_fields.append(f"waited {waited_s:.0f} s for the model")
            yield place
