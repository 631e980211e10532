"""Which requests a broker passes on: for each protocol a few paths, and the form in which each one goes out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote

PROTOCOLS: Final[Mapping[str, frozenset[str]]] = {
    "anthropic": frozenset({"anthropic"}),
    "openai": frozenset({"openai"}),
    "gemini": frozenset({"gemini"}),
    "ollama": frozenset({"ollama", "openai", "anthropic"}),
}
"""The protocols of each kind of endpoint; Ollama has the others' under their own paths."""

_GEMINI: Final = re.compile(r"/v1beta/models/([^/:]+):(generateContent|streamGenerateContent|countTokens)")
_PATHS: Final[Mapping[str, Mapping[tuple[str, str], tuple[str, bool]]]] = {
    "anthropic": {
        ("POST", "/v1/messages"): ("anthropic", True),
        ("POST", "/v1/messages/count_tokens"): ("anthropic", False),
    },
    "openai": {
        ("POST", "/v1/responses"): ("responses", True),
        ("POST", "/v1/chat/completions"): ("openai", True),
    },
    "ollama": {("POST", "/api/chat"): ("ollama", True)},
    "gemini": {},
}
# What a program asks before its first question; the broker answers it itself, from the lane.
_OWN: Final = frozenset({("HEAD", "/"), ("GET", "/v1/models")})
_QUERIES: Final = frozenset({("beta", "true"), ("alt", "sse")})


@dataclass(frozen=True, slots=True)
class EgressRoute:
    """One request that may pass: `shape` is the format of its answer, `thinks` whether a model answers it.

    `own` is true where the broker answers. `query` is what of the request's query goes out.
    """

    path: str
    shape: str = ""
    thinks: bool = False
    own: bool = False
    query: tuple[tuple[str, str], ...] = ()


def route_of(kind: str, method: str, path: str, query: tuple[tuple[str, str], ...], model: str) -> EgressRoute | None:
    """The route of a request to an endpoint of `kind`, for the lane's `model`; None when it may not pass."""
    if (method, path) in _OWN:
        return EgressRoute(path, own=True)
    passed_query = tuple(pair for pair in query if pair in _QUERIES)
    for protocol in PROTOCOLS[kind]:
        if known := _PATHS[protocol].get((method, path)):
            return EgressRoute(path, *known, query=passed_query)
        if protocol == "gemini" and method == "POST" and (parts := _GEMINI.fullmatch(unquote(path))):
            verb = parts[2]
            own_path = f"/v1beta/models/{quote(model, safe='')}:{verb}"
            return EgressRoute(own_path, "gemini", verb != "countTokens", query=passed_query)
    return None


def address(url: str, path: str) -> str:
    """The address of `path` at an endpoint, whose own may already end in the version that the path begins with."""
    version = path.split("/")[1]
    return url.removesuffix(f"/{version}") + path


def authority(kind: str, key: str | None) -> dict[str, str]:
    """The headers that carry an endpoint's key."""
    if key is None:
        return {}
    if kind == "anthropic":
        return {"x-api-key": key}
    return {"x-goog-api-key": key} if kind == "gemini" else {"authorization": f"Bearer {key}"}


def outgoing(body: dict[str, Any], route: EgressRoute, models: tuple[str, ...]) -> tuple[dict[str, Any], str]:
    """`body` as it goes out, and the model it asked for when that is not one of the lane's.

    Another model is replaced by the lane's first. A streaming chat is made to state what it cost.
    """
    other = ""
    if route.shape != "gemini":
        asked = body.get("model")
        if asked not in models:
            other = str(asked)[:100]
            body = {**body, "model": models[0]}
    if route.shape == "openai" and body.get("stream") is True:
        body = {**body, "stream_options": {"include_usage": True}}
    return body, other


def refusal(kind: str, message: str) -> dict[str, Any]:
    """A refusal, as the programs of this protocol expect one."""
    if kind == "anthropic":
        return {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
    if kind == "gemini":
        return {"error": {"code": 400, "message": message, "status": "FAILED_PRECONDITION"}}
    return {"error": {"message": message, "type": "invalid_request_error", "code": "refused", "param": None}}


def models_shown(models: tuple[str, ...]) -> dict[str, Any]:
    """The list of models that a program is shown: the lane's."""
    return {
        "object": "list",
        "data": [
            {"id": name, "object": "model", "type": "model", "display_name": name, "created": 0, "owned_by": "lane"}
            for name in models
        ],
        "has_more": False,
    }
