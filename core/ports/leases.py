"""The ports of model leases: acquiring a model for a piece of work, and moving models in and out of an endpoint."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from core.model.errors import TransientError


class LeaseRefusedError(TransientError):
    """A model cannot be had now: its endpoint gets no work, or the model could not be loaded."""


class ModelLeases(Protocol):
    """Grants models to those who ask for them."""

    def lease(self, model: str) -> AbstractAsyncContextManager[None]:
        """The right to use `model` (``endpoint/name``) within the block, for `core.model.model_lease.current_work`.

        Entering waits until it is granted; raises `LeaseRefusedError` ``model_down``.
        """


class EndpointControl(Protocol):
    """Moves models into and out of the memory of endpoints."""

    async def load(self, endpoint: str, model: str) -> None:
        """Load a model and return when it is ready; raises `TransientError` or `PermanentError`."""

    async def unload(self, endpoint: str, model: str) -> None:
        """Remove an idle model from memory; raises `TransientError` or `PermanentError`."""
