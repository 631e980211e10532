"""The ports of model leases: acquiring a model for a piece of work, and moving models in and out of an endpoint."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from core.model.errors import TransientError
from core.model.model_lease import ModelPlace


class LeaseRefusedError(TransientError):
    """A model cannot be had now: its endpoint gets no work, or the model could not be loaded."""


class ModelLeases(Protocol):
    """Grants models to those who ask for them."""

    def lease(self, model: str, *, keeps_slot: bool = False) -> AbstractAsyncContextManager[ModelPlace | None]:
        """The right to use `model` within the block, for `core.model.model_lease.current_work`.

        `model` is ``endpoint/name``, or ``*/name`` for any endpoint that has it. Entering waits until it is granted,
        and gives the place where it may be used; None where nothing has to be waited for. With `keeps_slot` the job
        keeps its worker slot while it waits. Raises `LeaseRefusedError` ``model_down``.
        """

    async def reserve(self, model: str) -> ModelPlace | None:
        """Wait until a model is there, before work begins that will soon use it; it stays for the first request.

        Gives and raises what `lease` does.
        """


class EndpointControl(Protocol):
    """Moves models into and out of the memory of endpoints."""

    async def load(self, endpoint: str, model: str) -> None:
        """Load a model and return when it is ready; raises `TransientError` or `PermanentError`."""

    async def unload(self, endpoint: str, model: str) -> None:
        """Remove an idle model from memory; raises `TransientError` or `PermanentError`."""
