"""Holding both sides to the types of the `ollama` package, unknown keys included."""

from __future__ import annotations

from typing import Any

from ollama import _types as documented
from pydantic import BaseModel, ValidationError

from tests.fakes.ollama.script import Json

REQUESTS: dict[str, type[BaseModel]] = {
    "/api/chat": documented.ChatRequest,
    "/api/generate": documented.GenerateRequest,
    "/api/show": documented.ShowRequest,
    "/api/pull": documented.PullRequest,
    "/api/delete": documented.DeleteRequest,
}
ANSWERS: dict[str, type[BaseModel]] = {
    "/api/chat": documented.ChatResponse,
    "/api/generate": documented.GenerateResponse,
    "/api/show": documented.ShowResponse,
    "/api/pull": documented.ProgressResponse,
    "/api/tags": documented.ListResponse,
    "/api/ps": documented.ProcessResponse,
}
_ROLES = ("system", "user", "assistant", "tool")


def faults_of_request(path: str, body: Json) -> list[str]:
    """All that is wrong with a request."""
    found = _faults(REQUESTS[path], body)
    if isinstance(body.get("options"), dict):
        found += _faults(documented.Options, body["options"], "options")
    for n, message in enumerate(body.get("messages") or []):
        found += _faults(documented.Message, message, f"messages.{n}")
        if isinstance(message, dict) and message.get("role") not in _ROLES:
            found.append(f"messages.{n}.role: {message.get('role')!r} is none of Ollama's")
    for n, tool in enumerate(body.get("tools") or []):
        function = tool.get("function", {}) if isinstance(tool, dict) else {}
        if not (function.get("name") and function.get("parameters", {}).get("type") == "object"):
            found.append(f"tools.{n}: lacks a name, or parameters of type object")
    return found


def faults_of_answer(path: str, body: Json) -> list[str]:
    """All that is wrong with what the fake would send."""
    if set(body) == {"error"}:
        return [] if isinstance(body["error"], str) else ["error: is no text"]
    found = _faults(ANSWERS[path], body)
    if path in ("/api/chat", "/api/generate"):
        found += [f"{key}: is missing" for key in ("model", "created_at", "done") if key not in body]
    return found


def _faults(shape: type[BaseModel], value: Any, where: str = "") -> list[str]:
    try:
        made = shape.model_validate(value)
    except ValidationError as error:
        return [f"{'.'.join(map(str, (where, *fault['loc'])))}: {fault['msg']}" for fault in error.errors()]
    return list(_unknown(value, made, where))


def _unknown(value: Any, made: Any, where: str) -> list[str]:
    """The keys that the type did not take up."""
    if isinstance(made, BaseModel) and isinstance(value, dict):
        names = {field.alias or name: name for name, field in type(made).model_fields.items()}
        found = [f"{where}.{key}: is not documented" for key in value if key not in names]
        for key in value.keys() & names.keys():
            found += _unknown(value[key], getattr(made, names[key]), f"{where}.{key}")
        return found
    if isinstance(value, list) and isinstance(made, list | tuple):
        return [
            fault for n, pair in enumerate(zip(value, made, strict=True)) for fault in _unknown(*pair, f"{where}.{n}")
        ]
    if isinstance(value, dict) and isinstance(made, dict):
        return [fault for key in value for fault in _unknown(value[key], made.get(key), f"{where}.{key}")]
    return []
