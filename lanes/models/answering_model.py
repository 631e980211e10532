"""Asks several models in order until one answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Final

from core.model.errors import CountersignError, PermanentError, TransientError
from core.ports.inventory import EndpointAdmission, EndpointRefusal
from core.ports.leases import LeaseRefusedError, ModelLeases
from lanes.models.chat import ChatModel, ChatReply, ChatRequest
from lanes.models.endpoint import ModelName

_TRY_NEXT: Final = ("model_missing", "model_babbled")
"""Permanent errors that another model may not have. After a refusal no other model is asked."""

_SHORTEST_LOAD_S: Final = 0.5
"""Ollama reports some milliseconds for a model that was in memory; its time includes the wait for other loads."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model with its name."""

    name: ModelName
    model: ChatModel


class FallbackModel:
    """The models of a lane, asked in order; endpoints that may not be asked now are skipped.

    `ChatReply.model` names the model that answered. A model that fails midway may already have streamed text:
    `ChatRequest.on_text` then receives the next model's answer from its start.
    """

    def __init__(
        self, candidates: Sequence[Candidate], admission: EndpointAdmission, leases: ModelLeases | None = None
    ) -> None:
        """Each request is sent under a lease of its model, if there are `leases`."""
        self._candidates, self._admission, self._leases = tuple(candidates), admission, leases

    async def ask(self, request: ChatRequest) -> ChatReply:
        """The first answer; raises what `ChatModel.ask` raises, with the messages of all models that were tried."""
        errors: list[CountersignError] = []
        for candidate in self._candidates:
            endpoint = candidate.name.endpoint
            if (refusal := await self._admission.admit(endpoint)) is not None:
                errors.append(_refusal_error(refusal))
                continue
            try:
                async with self._lease(candidate.name):
                    reply = await candidate.model.ask(request)
            except LeaseRefusedError as error:  # nothing was asked, so it says nothing of the endpoint
                errors.append(error)
            except TransientError as error:
                await self._admission.record_failure(endpoint, error.retry_after_s, error.problem.message)
                errors.append(error)
            except PermanentError as error:
                await self._admission.record_success(endpoint)  # the endpoint itself works
                if error.problem.code not in _TRY_NEXT:
                    raise
                errors.append(error)
            else:
                await self._admission.record_success(endpoint)
                if reply.load_s is not None and reply.load_s >= _SHORTEST_LOAD_S:
                    await self._admission.record_load(endpoint, candidate.name.name, reply.load_s)
                return reply
        raise _combine(errors)

    def _lease(self, name: ModelName) -> AbstractAsyncContextManager[None]:
        return self._leases.lease(str(name)) if self._leases is not None else nullcontext()


def _refusal_error(refusal: EndpointRefusal) -> TransientError:
    """The error of an endpoint that may not be asked: why, and when the next attempt is allowed."""
    mend = f"The next attempt is in {math.ceil(refusal.wait_s)} s."
    return TransientError("model_down", refusal.reason, mend, retry_after_s=refusal.wait_s)


def _combine(errors: Sequence[CountersignError]) -> CountersignError:
    """One error for all failures: the last transient one if there is any, else the last one."""
    if len(errors) == 1:
        return errors[0]
    messages = "; ".join(dict.fromkeys(error.problem.message for error in errors))
    transient = [error for error in errors if isinstance(error, TransientError)]
    if not transient:
        last = errors[-1].problem
        return PermanentError(last.code, f"No model answered: {messages}", last.mend, kind=last.kind)
    waits = [error.retry_after_s for error in transient if error.retry_after_s is not None]
    last = transient[-1].problem
    retry_after_s = min(waits) if len(waits) == len(transient) else None
    return TransientError(last.code, f"No model answered: {messages}", last.mend, retry_after_s=retry_after_s)
