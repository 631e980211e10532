"""Several models as one: the first that answers is taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from core.advice import CommandName, Suggestion, advise
from core.errors import CountersignError, PermanentError, TransientError
from lanes.models.breaker import Breakers
from lanes.models.chat import Ask, Model, Reply
from lanes.models.endpoint import ModelName

_NEXT: Final = ("model_missing", "model_babbled")
"""What does not come right by asking again, but may with another model. What a model refused, no other is asked."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model and its name."""

    name: ModelName
    model: Model


class FirstOf:
    """The models of a lane, asked in their order; endpoints that keep failing are passed over for a while.

    `Reply.model` says which one answered. A model that broke off may have been heard in part already: `Ask.heard`
    hears the next one from its beginning.
    """

    def __init__(self, candidates: Sequence[Candidate], breakers: Breakers) -> None:
        self._candidates, self._breakers = tuple(candidates), breakers

    async def ask(self, ask: Ask) -> Reply:
        """The first answer; raises what `Model.ask` raises, and names all that were tried."""
        failed: list[CountersignError] = []
        for candidate in self._candidates:
            endpoint = candidate.name.endpoint
            if not self._breakers.admits(endpoint):
                failed.append(_resting(candidate.name, self._breakers.wait_s(endpoint)))
                continue
            try:
                reply = await candidate.model.ask(ask)
            except TransientError as error:
                self._breakers.failed(endpoint, error.retry_after_s)
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


def _resting(name: ModelName, wait_s: float) -> TransientError:
    message = f"{name}: its endpoint {name.endpoint} failed several times and is left in peace"
    again = f"It is tried again in {wait_s:.0f} s"
    mend = advise(f"{again}; see ", Suggestion(CommandName.DOCTOR), ".", otherwise=f"{again}.")
    return TransientError("model_down", message, mend, retry_after_s=wait_s)


def _summed_up(failed: Sequence[CountersignError]) -> CountersignError:
    """One error for all: the last that time may mend, else the last of all."""
    if len(failed) == 1:
        return failed[0]
    told = "; ".join(error.problem.message for error in failed)
    passing = [error for error in failed if isinstance(error, TransientError)]
    if not passing:
        last = failed[-1].problem
        return PermanentError(last.code, f"no model answered: {told}", last.mend, kind=last.kind)
    waits = [error.retry_after_s for error in passing if error.retry_after_s is not None]
    last = passing[-1].problem
    retry_after_s = min(waits) if len(waits) == len(passing) else None
    return TransientError(last.code, f"no model answered: {told}", last.mend, retry_after_s=retry_after_s)
