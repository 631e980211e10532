"""Several models as one: the first that answers is taken."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from core.model.errors import CountersignError, PermanentError, TransientError
from lanes.models.breaker import CircuitBreakers
from lanes.models.chat import ChatModel, ChatReply, ChatRequest
from lanes.models.endpoint import ModelName

_NEXT: Final = ("model_missing", "model_babbled")
"""What does not come right by asking again, but may with another model. What a model refused, no other is asked."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model and its name."""

    name: ModelName
    model: ChatModel


class FallbackModel:
    """The models of a lane, asked in their order; endpoints that keep failing are passed over for a while.

    `ChatReply.model` says which one answered. A model that broke off may have been heard in part already:
    `ChatRequest.heard` hears the next one from its beginning.
    """

    def __init__(self, candidates: Sequence[Candidate], breakers: CircuitBreakers) -> None:
        self._candidates, self._breakers = tuple(candidates), breakers

    async def ask(self, ask: ChatRequest) -> ChatReply:
        """The first answer; raises what `ChatModel.ask` raises, and names all that were tried."""
        failed: list[CountersignError] = []
        for candidate in self._candidates:
            endpoint = candidate.name.endpoint
            if not self._breakers.admits(endpoint):
                failed.append(self._waiting(candidate.name))
                continue
            try:
                reply = await candidate.model.ask(ask)
            except TransientError as error:
                self._breakers.failed(endpoint, error.retry_after_s, error.problem.message)
                failed.append(error)
            except PermanentError as error:
                self._breakers.succeeded(endpoint)  # it is there, and said something
                if error.problem.code not in _NEXT:
                    raise
                failed.append(error)
            else:
                self._breakers.succeeded(endpoint)
                return reply
        raise _summed_up(failed)

    def _waiting(self, name: ModelName) -> TransientError:
        """The endpoint is not asked now: why it failed last, and when it is tried again."""
        wait_s = self._breakers.wait_s(name.endpoint)
        message = self._breakers.cause(name.endpoint) or f"{name.endpoint} failed several times in a row"
        mend = f"The next try is in {math.ceil(wait_s)} s."
        return TransientError("model_down", message, mend, retry_after_s=wait_s)


def _summed_up(failed: Sequence[CountersignError]) -> CountersignError:
    """One error for all: the last that time may mend, else the last of all."""
    if len(failed) == 1:
        return failed[0]
    told = "; ".join(dict.fromkeys(error.problem.message for error in failed))
    passing = [error for error in failed if isinstance(error, TransientError)]
    if not passing:
        last = failed[-1].problem
        return PermanentError(last.code, f"no model answered: {told}", last.mend, kind=last.kind)
    waits = [error.retry_after_s for error in passing if error.retry_after_s is not None]
    last = passing[-1].problem
    retry_after_s = min(waits) if len(waits) == len(passing) else None
    return TransientError(last.code, f"no model answered: {told}", last.mend, retry_after_s=retry_after_s)
