"""Translates failures of model endpoints into the errors of `core.model.errors`, without quoting keys or prompts."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import httpx

from core.model.advice import Advice, CommandName, Suggestion, advise
from core.model.errors import CountersignError, Kind, PermanentError, TransientError
from lanes.models.endpoint import Endpoint, ModelName, key_variable
from lanes.models.http_transport import CONNECT_S, ResponseTooLargeError

INVALID_ANSWER: Final = (
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    RecursionError,
    httpx.DecodingError,
    ResponseTooLargeError,
)
"""Exceptions that reading an invalid answer raises: not JSON, another shape, too deep, compressed, too long."""
CONNECTION_FAILURES: Final = (httpx.HTTPError, httpx.InvalidURL, OSError)
"""Exceptions that a failed connection to an endpoint raises."""

_MAX_QUOTE: Final = 200
_SHARED_CHARS: Final = 16
_SHARED_KEY_CHARS: Final = 6
_NO_MODEL: Final = re.compile(r"model\b.*(not found|does not exist)|no such model", re.IGNORECASE | re.DOTALL)
_UNPUBLISHED: Final = re.compile(r"pull model manifest: (file does not exist|.*not found)", re.IGNORECASE)
_NO_ROOM: Final = re.compile(r"no space left on device|disk quota exceeded|not enough (disk )?space", re.IGNORECASE)
_NO_TOOLS: Final = re.compile(
    r"does not support tools|tools? (?:use |calling )?(?:is|are) not supported|tools param requires --jinja",
    re.IGNORECASE,
)
_TOO_LONG: Final = re.compile(r"exceeds the available context size|maximum context length", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FaultOrigin:
    """What an error is about: the model `name` at `endpoint`; `private` holds texts that no message may quote."""

    endpoint: Endpoint
    name: str = ""
    private: tuple[str, ...] = ()

    def __str__(self) -> str:
        return str(ModelName(self.endpoint.name, self.name)) if self.name else f"the endpoint {self.endpoint.name}"

    def quote(self, message: str) -> str:
        """The server's message, shortened and without control characters; empty if it repeats a key or the request."""
        plain = " ".join(word for word in "".join(map(_plain, message[: 10 * _MAX_QUOTE])).split())
        plain = plain[:_MAX_QUOTE]
        key = self.endpoint.key or ""
        if not plain or _shares(plain, (key,), _SHARED_KEY_CHARS) or _shares(plain, self.private, _SHARED_CHARS):
            return ""
        return f': it answered "{plain}"'


def status_error(
    origin: FaultOrigin, status: int, server_message: str, retry_after_s: float | None = None
) -> CountersignError:
    """The error for a response with this status; `server_message` is the server's message."""
    quote = origin.quote(server_message)
    if _UNPUBLISHED.search(server_message):
        mend = "Look up its name at https://ollama.com/library."
        return PermanentError(
            "model_missing", f"Ollama's registry does not have the model {origin.name}", mend, kind=Kind.MISSING
        )
    if status in (400, 500) and _NO_TOOLS.search(server_message):  # 500 is llama.cpp's
        mend = "The request is repeated without tools. To use tools, name a model that supports them."
        return PermanentError("model_no_tools", f"{origin} does not support tools", mend)
    if status in (429, 503):
        mend = "The request is repeated later. Give the server more capacity, or the lane another model."
        return TransientError("model_busy", f"{origin} is busy ({status}){quote}", mend, retry_after_s=retry_after_s)
    if status == 504:
        return TransientError("model_slow", f"{origin} did not answer its gateway in time{quote}", _LATER)
    if status >= 500:
        mend = _ROOM if _NO_ROOM.search(server_message) else _LATER
        return TransientError("model_down", f"{origin} failed with status {status}{quote}", mend)
    if status == 404 and origin.name and _NO_MODEL.search(server_message):
        return missing_model_error(origin)
    return _refused_error(origin, status, quote)


def _refused_error(origin: FaultOrigin, status: int, quote: str) -> PermanentError:
    endpoint = origin.endpoint
    message, mend = f"{origin} refused the request (status {status}){quote}", _OTHER
    if status in (401, 403):
        message = f"{origin} rejected the API key (status {status}){quote}"
        mend = f"Set {key_variable(endpoint.name)}, or `key_file` of {endpoint.name} in countersign.yaml."
    elif 300 <= status < 400:
        message = f"{origin} at {endpoint.url} redirects to another address"
        mend = "Set `url` in countersign.yaml to the final address; redirects are not followed."
    elif _TOO_LONG.search(quote):
        mend = f"Set context_tokens of {endpoint.name} in countersign.yaml to the server's size, or raise that."
    elif status == 404:
        message = f"{endpoint.url} does not offer the {endpoint.kind} protocol (status 404)"
        mend = f"Check `url` and `kind` of {endpoint.name} in countersign.yaml."
    return PermanentError("model_refused", message, mend)


def _pull_advice(origin: FaultOrigin) -> Advice:
    ask = f"Ask the operator of Countersign to pull {origin}."
    return advise("Pull it with ", Suggestion(CommandName.PULL_MODEL, args=(str(origin),)), ".", otherwise=ask)


def missing_model_error(origin: FaultOrigin) -> PermanentError:
    """The error for a model that the endpoint does not have."""
    mend: str | Advice
    if origin.private:  # the request belongs to a task, whose requester may not be an operator
        mend = f"Ask your operator to {'pull it' if origin.endpoint.kind == 'ollama' else 'name one that it has'}."
    else:
        mend = _pull_advice(origin) if origin.endpoint.kind == "ollama" else "Name a model that it has."
    return PermanentError(
        "model_missing", f"The endpoint {origin.endpoint.name} has no model {origin.name}", mend, kind=Kind.MISSING
    )


def connection_error(origin: FaultOrigin, error: Exception) -> CountersignError:
    """The error for an exception in `CONNECTION_FAILURES`."""
    url, reason = origin.endpoint.url, str(error)
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        mend = "Set SSL_CERT_FILE to its authority's file, or replace its certificate."
        return PermanentError("model_refused", f"{origin}: the certificate of {url} is not trusted", mend)
    if isinstance(error, httpx.ConnectTimeout):
        return TransientError("model_down", f"{origin}: no connection to {url} within {CONNECT_S:g} s", _START)
    if isinstance(error, httpx.TimeoutException):
        return TransientError("model_slow", f"{origin} did not answer in time", _LATER)
    if isinstance(error, httpx.ConnectError | ConnectionError):
        return TransientError("model_down", f"{origin}: nothing is listening at {url}", _START)
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        return PermanentError(
            "model_refused", f"{origin}: {url} is not a valid address", "Check its `url` and its key."
        )
    if isinstance(error, httpx.RemoteProtocolError) and not re.search(r"disconnected|peer closed", reason):
        return invalid_answer_error(origin, "the server sent something that is not HTTP")
    return truncated_answer_error(origin)


def truncated_answer_error(origin: FaultOrigin) -> TransientError:
    """The error for an answer that ended early."""
    return TransientError("model_down", f"{origin} closed the connection in the middle of its answer", _LATER)


def deadline_error(origin: FaultOrigin, deadline: str, seconds: float) -> TransientError:
    """The error for a passed deadline of `seconds`; `deadline` completes the sentence and names the setting."""
    mend = f"Raise it for {origin.endpoint.name} in countersign.yaml, or name a smaller model."
    return TransientError("model_slow", f"{origin} {deadline} within {seconds:g} s", mend)


def invalid_answer_error(origin: FaultOrigin, reason: str) -> PermanentError:
    """The error for an invalid answer; `reason` says what is wrong with it."""
    return PermanentError("model_babbled", f"{origin} sent an invalid answer: {reason}", _OTHER)


def unreadable_answer_error(origin: FaultOrigin, error: Exception) -> PermanentError:
    """The error for an exception in `INVALID_ANSWER`; the content is not quoted, since it could be anything."""
    if isinstance(error, ResponseTooLargeError):
        return invalid_answer_error(origin, f"the server sent {error}")
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return invalid_answer_error(origin, "the server sent something that is not JSON")
    return invalid_answer_error(origin, "the server sent JSON that does not follow its protocol")


_LATER: Final = "The request is repeated later. If this persists, check the server's log."
_ROOM: Final = "Free disk space on its host, for example by deleting a model, then try again."
_START: Final = "Start the server, or correct `url` in countersign.yaml."
_OTHER: Final = "Name another model, or check the server's log."


def _plain(char: str) -> str:
    return char if unicodedata.category(char)[0] not in "CZ" else " "


def _shares(text: str, private: Iterable[str], length: int) -> bool:
    """True if `text` shares `length` consecutive characters with a private text, or contains a shorter one whole."""
    pieces = [text[n : n + length] for n in range(max(1, len(text) - length + 1))]
    for secret in private:
        plain: Any = " ".join("".join(map(_plain, secret)).split())
        if plain and (any(piece in plain for piece in pieces) or (len(plain) < length and plain in text)):
            return True
    return False
