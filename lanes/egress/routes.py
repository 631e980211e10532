"""The requests that the broker forwards: a few paths of each protocol, and how each request is rewritten."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote

from core.model.model_lease import ModelPlace

PROTOCOLS: Final[Mapping[str, frozenset[str]]] = {
    "anthropic": frozenset({"anthropic"}),
    "openai": frozenset({"openai"}),
    "gemini": frozenset({"gemini"}),
    "ollama": frozenset({"ollama", "openai", "anthropic"}),
}
"""The protocols of each kind of endpoint; Ollama also offers others under their own paths."""

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
_LOAD_OPTIONS: Final = frozenset({"num_ctx", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread", "numa"})
"""Ollama's options of a runner: another value in a request makes it load the model again."""
# Requests of programs before the first prompt, which the broker answers from the lane.
_LOCAL: Final = frozenset({("HEAD", "/"), ("GET", "/v1/models")})
_QUERIES: Final = frozenset({("beta", "true"), ("alt", "sse")})


@dataclass(frozen=True, slots=True)
class EgressRoute:
    """A permitted request: `shape` is the format of its answer, and `is_inference` is True if a model answers it.

    `is_local` is True if the broker itself answers. `query` are the forwarded parts of the request's query.
    """

    path: str
    shape: str = ""
    is_inference: bool = False
    is_local: bool = False
    query: tuple[tuple[str, str], ...] = ()


def find_route(kind: str, method: str, path: str, query: tuple[tuple[str, str], ...], model: str) -> EgressRoute | None:
    """The route of a request to an endpoint of `kind`, for the lane's `model`; None if it is not permitted."""
    if (method, path) in _LOCAL:
        return EgressRoute(path, is_local=True)
    passed_query = tuple(pair for pair in query if pair in _QUERIES)
    for protocol in PROTOCOLS[kind]:
        if known := _PATHS[protocol].get((method, path)):
            return EgressRoute(path, *known, query=passed_query)
        if protocol == "gemini" and method == "POST" and (parts := _GEMINI.fullmatch(unquote(path))):
            verb = parts[2]
            model_path = f"/v1beta/models/{quote(model, safe='')}:{verb}"
            return EgressRoute(model_path, "gemini", verb != "countTokens", query=passed_query)
    return None


def endpoint_url(url: str, path: str) -> str:
    """The URL of `path` at an endpoint, whose `url` may end in the version with which the path begins."""
    version = path.split("/")[1]
    return url.removesuffix(f"/{version}") + path


def authorization_headers(kind: str, key: str | None) -> dict[str, str]:
    """The headers that carry an endpoint's key."""
    if key is None:
        return {}
    if kind == "anthropic":
        return {"x-api-key": key}
    return {"x-goog-api-key": key} if kind == "gemini" else {"authorization": f"Bearer {key}"}


def rewrite_body(body: dict[str, Any], route: EgressRoute, models: tuple[str, ...]) -> tuple[dict[str, Any], str]:
    """The body to forward, and the requested model if it is not one of the lane's, else "".

    A model that is not the lane's is replaced by the lane's first. A streaming chat must report its usage.
    """
    replaced_model = ""
    if route.shape != "gemini":
        requested = body.get("model")
        if requested not in models:
            replaced_model = str(requested)[:100]
            body = {**body, "model": models[0]}
    if route.shape == "openai" and body.get("stream") is True:
        body = {**body, "stream_options": {"include_usage": True}}
    return body, replaced_model


def with_loaded_options(body: dict[str, Any], route: EgressRoute, place: ModelPlace | None) -> dict[str, Any]:
    """The body with the options that its model is loaded with; others would make the server load it again.

    Only Ollama's own protocol has such options (https://github.com/ollama/ollama/blob/main/docs/api.md).
    """
    if route.shape != "ollama" or place is None:
        return body
    given = body.get("options")
    options = dict(given) if isinstance(given, dict) else {}
    options = {name: value for name, value in options.items() if name not in _LOAD_OPTIONS}
    if place.context_tokens is not None:
        options["num_ctx"] = place.context_tokens
    return {name: value for name, value in body.items() if name != "keep_alive"} | {"options": options}


def refusal_body(kind: str, message: str) -> dict[str, Any]:
    """The body of a refusal in the format of this protocol."""
    if kind == "anthropic":
        return {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
    if kind == "gemini":
        return {"error": {"code": 400, "message": message, "status": "FAILED_PRECONDITION"}}
    return {"error": {"message": message, "type": "invalid_request_error", "code": "refused", "param": None}}


def error_message(body: str) -> str:
    """The message in an error body, in one line."""
    try:
        error = json.loads(body)["error"]
        body = str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, RecursionError, KeyError, TypeError):
        pass
    return " ".join(body.split())[:200]


def model_list(models: tuple[str, ...]) -> dict[str, Any]:
    """The answer to a request for the list of models, with the lane's models."""
    return {
        "object": "list",
        "data": [
            {"id": name, "object": "model", "type": "model", "display_name": name, "created": 0, "owned_by": "lane"}
            for name in models
        ],
        "has_more": False,
    }
