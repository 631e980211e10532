"""Asks several models in order until one answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Final

from core.model.errors import CountersignError, PermanentError, TransientError
from core.model.model_lease import ModelPlace
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
    """A model of one endpoint with its name."""

    name: ModelName
    model: ChatModel


@dataclass(frozen=True, slots=True)
class AnywhereCandidate:
    """A model that any of `endpoints` may serve; `at` is the model of one of them."""

    name: ModelName
    endpoints: tuple[str, ...]
    at: Callable[[ModelName], Candidate]


class FallbackModel:
    """The models of a lane, asked in order; endpoints that may not be asked now are skipped.

    `ChatReply.model` names the model that answered. A model that fails midway may already have streamed text:
    `ChatRequest.on_text` then receives the next model's answer from its start.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate | AnywhereCandidate],
        admission: EndpointAdmission,
        leases: ModelLeases | None = None,
    ) -> None:
        """Each request is sent under a lease of its model, if there are `leases`."""
        self._candidates, self._admission, self._leases = tuple(candidates), admission, leases

    async def ask(self, request: ChatRequest) -> ChatReply:
        """The first answer; raises what `ChatModel.ask` raises, with the messages of all models that were tried."""
        errors: list[CountersignError] = []
        for candidate in self._candidates:
            try:
                if isinstance(candidate, Candidate):
                    reply = await self._ask_one(candidate, request, errors)
                else:
                    reply = await self._ask_anywhere(candidate, request, errors)
            except LeaseRefusedError as error:  # nothing was asked, so it says nothing of the endpoint
                errors.append(error)
                continue
            if reply is not None:
                return reply
        raise _combine(errors)

    async def _ask_anywhere(
        self, candidate: AnywhereCandidate, request: ChatRequest, errors: list[CountersignError]
    ) -> ChatReply | None:
        """Ask where a lease is granted; if that fails, or if nothing is granted, one endpoint after the other."""
        tried = ""
        async with self._lease(candidate.name) as place:
            if place is not None:
                tried = place.endpoint
                one = candidate.at(ModelName(place.endpoint, place.model))
                if await self._is_admitted(one, errors):
                    reply = await self._ask_leased(one, request, place, errors)
                    if reply is not None:
                        return reply
        for endpoint in candidate.endpoints:
            if endpoint != tried:
                one = candidate.at(ModelName(endpoint, candidate.name.name))
                try:
                    reply = await self._ask_one(one, request, errors)
                except LeaseRefusedError as error:
                    errors.append(error)
                    continue
                if reply is not None:
                    return reply
        return None

    async def _ask_one(
        self, candidate: Candidate, request: ChatRequest, errors: list[CountersignError]
    ) -> ChatReply | None:
        """The answer of a model of one endpoint; None with one more of the `errors` when the next should be asked."""
        if not await self._is_admitted(candidate, errors):
            return None
        async with self._lease(candidate.name) as place:
            return await self._ask_leased(candidate, request, place, errors)

    async def _is_admitted(self, candidate: Candidate, errors: list[CountersignError]) -> bool:
        refusal = await self._admission.admit(candidate.name.endpoint)
        if refusal is not None:
            errors.append(_refusal_error(refusal))
        return refusal is None

    async def _ask_leased(
        self, candidate: Candidate, request: ChatRequest, place: ModelPlace | None, errors: list[CountersignError]
    ) -> ChatReply | None:
        """Ask an endpoint that admitted the request, and report how it did."""
        endpoint = candidate.name.endpoint
        if place is not None and place.context_tokens is not None:
            request = replace(request, context_tokens=place.context_tokens)
        try:
            reply = await candidate.model.ask(request)
        except TransientError as error:
            await self._admission.record_failure(endpoint, error.retry_after_s, error.problem.message)
            errors.append(error)
            return None
        except PermanentError as error:
            await self._admission.record_success(endpoint)  # the endpoint itself works
            if error.problem.code not in _TRY_NEXT:
                raise
            errors.append(error)
            return None
        await self._admission.record_success(endpoint)
        if reply.load_s is not None and reply.load_s >= _SHORTEST_LOAD_S:
            await self._admission.record_load(endpoint, candidate.name.name, reply.load_s)
        return reply

    def _lease(self, name: ModelName) -> AbstractAsyncContextManager[ModelPlace | None]:
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
