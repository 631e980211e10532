"""The canary: a request for one token to a model that an endpoint lists as loaded, to find one that does not answer.

A server may list a runner that is dead or hangs, and still answer every question about itself. The canary of Ollama
names the context that the model was loaded with, or it would be loaded again, and the time that is left until it is
unloaded, or it would never be idle: see `keep_alive` and `num_ctx` in
https://github.com/ollama/ollama/blob/main/docs/api.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from core.model.endpoint_snapshot import ResidentModel
from core.model.errors import CountersignError
from lanes.inventory.session import ProbeSession
from lanes.models.endpoint import Endpoint

_ENDS_SOON_S: Final = 5.0
"""A model that its server unloads within this time gets no canary: a late one would load it again."""
_PROMPT: Final = "Hi"
_NO_VERDICT: Final = frozenset({"model_busy", "model_missing"})
"""Errors that say nothing about a runner: the queue is full, or the model was removed."""


class CanaryVerdict(StrEnum):
    """What a canary showed."""

    ALIVE = "alive"
    DEAD = "dead"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class CanaryResult:
    """The verdict about a resident model, and why in one sentence."""

    verdict: CanaryVerdict
    reason: str = ""


async def send_canary(endpoint: Endpoint, resident: ResidentModel, limit_s: float, now: datetime) -> CanaryResult:
    """Ask a resident model for one token; it must answer within `limit_s`."""
    if resident.expires_at is not None and (resident.expires_at - now).total_seconds() < _ENDS_SOON_S:
        return CanaryResult(CanaryVerdict.UNDECIDED)
    path, body = _ollama(resident, now) if endpoint.kind == "ollama" else _openai(resident)
    try:
        await ProbeSession(endpoint, limit_s, resident.name).ask(path, body)
    except CountersignError as error:
        if error.problem.code in _NO_VERDICT:
            return CanaryResult(CanaryVerdict.UNDECIDED)
        if error.problem.code == "model_slow":
            reason = f"{resident.name} is listed as loaded and did not answer a test request within {limit_s:g} s"
        else:
            reason = f"{resident.name} is listed as loaded and failed a test request: {error.problem.message}"
        return CanaryResult(CanaryVerdict.DEAD, reason)
    return CanaryResult(CanaryVerdict.ALIVE)


def _ollama(resident: ResidentModel, now: datetime) -> tuple[str, dict[str, Any]]:
    options: dict[str, Any] = {"num_predict": 1}
    if resident.family.options.context_tokens is not None:
        options["num_ctx"] = resident.family.options.context_tokens
    left_s = -1 if resident.expires_at is None else max(1, round((resident.expires_at - now).total_seconds()))
    body = {"model": resident.name, "prompt": _PROMPT, "stream": False, "options": options, "keep_alive": left_s}
    return "/api/generate", body


def _openai(resident: ResidentModel) -> tuple[str, dict[str, Any]]:
    messages = [{"role": "user", "content": _PROMPT}]
    return "/chat/completions", {"model": resident.name, "messages": messages, "stream": False, "max_tokens": 1}
