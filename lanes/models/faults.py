"""What goes wrong between us and a model, in the words of `core.model.errors`; never with a key or a prompt in it."""

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

NONSENSE: Final = (
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    RecursionError,
    httpx.DecodingError,
    ResponseTooLargeError,
)
"""What reading an answer raises when it is none: no JSON, another shape, too deep, packed, without an end."""
BROKEN: Final = (httpx.HTTPError, httpx.InvalidURL, OSError)
"""What the way to an endpoint raises."""

_LONGEST_QUOTE: Final = 200
_TELLTALE: Final = 16
_KEY_TELLTALE: Final = 6
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
    """Whom a fault is about: the model `name` at `endpoint`; `private` is what must not be quoted back."""

    endpoint: Endpoint
    name: str = ""
    private: tuple[str, ...] = ()

    def __str__(self) -> str:
        return str(ModelName(self.endpoint.name, self.name)) if self.name else f"the endpoint {self.endpoint.name}"

    def quoted(self, words: str) -> str:
        """What the server said, cut and made plain; nothing when that repeats the key or what we told it."""
        plain = " ".join(word for word in "".join(map(_plain, words[: 10 * _LONGEST_QUOTE])).split())
        plain = plain[:_LONGEST_QUOTE]
        key = self.endpoint.key or ""
        if not plain or _shares(plain, (key,), _KEY_TELLTALE) or _shares(plain, self.private, _TELLTALE):
            return ""
        return f': it says "{plain}"'


def of_status(whose: FaultOrigin, status: int, words: str, retry_after_s: float | None = None) -> CountersignError:
    """The fault that an answer of this status stands for; `words` are the server's."""
    said = whose.quoted(words)
    if _UNPUBLISHED.search(words):
        mend = "Look for its name at https://ollama.com/library."
        return PermanentError("model_missing", f"Ollama's registry has no {whose.name}", mend, kind=Kind.MISSING)
    if status in (400, 500) and _NO_TOOLS.search(words):  # 500 is llama.cpp's
        mend = "It is asked without tools instead; or name a model that has them."
        return PermanentError("model_no_tools", f"{whose} does not support tools", mend)
    if status in (429, 503):
        mend = "It is asked again later; give it more room, or the lane another model."
        return TransientError("model_busy", f"{whose} is busy ({status}){said}", mend, retry_after_s=retry_after_s)
    if status == 504:
        return TransientError("model_slow", f"{whose} did not answer the gateway before it in time{said}", _LATER)
    if status >= 500:
        mend = _ROOM if _NO_ROOM.search(words) else _LATER
        return TransientError("model_down", f"{whose} failed with status {status}{said}", mend)
    if status == 404 and whose.name and _NO_MODEL.search(words):
        return missing(whose)
    return _refused(whose, status, said)


def _refused(whose: FaultOrigin, status: int, said: str) -> PermanentError:
    endpoint = whose.endpoint
    message, mend = f"{whose} refused the question (status {status}){said}", _OTHER
    if status in (401, 403):
        message = f"{whose} does not take our key (status {status}){said}"
        mend = f"Set {key_variable(endpoint.name)}, or its key_file."
    elif 300 <= status < 400:
        message = f"{whose} at {endpoint.url} sends us to another address"
        mend = "Write its final address into countersign.yaml; redirects are not followed."
    elif _TOO_LONG.search(said):
        mend = f"Set context_tokens of {endpoint.name} in countersign.yaml to what its server has, or give that more."
    elif status == 404:
        message = f"{endpoint.url} does not speak {endpoint.kind} (status 404)"
        mend = f"Check `url` and `kind` of {endpoint.name} in countersign.yaml."
    return PermanentError("model_refused", message, mend)


def _pull(whose: FaultOrigin) -> Advice:
    ask = f"Ask whoever runs Countersign to pull {whose}."
    return advise("Pull it with ", Suggestion(CommandName.PULL_MODEL, args=(str(whose),)), ".", otherwise=ask)


def missing(whose: FaultOrigin) -> PermanentError:
    """The endpoint has no such model."""
    mend: str | Advice
    if whose.private:  # asked for somebody's task, who may not be an operator
        mend = f"Ask your operator to {'pull it' if whose.endpoint.kind == 'ollama' else 'name one that it has'}."
    else:
        mend = _pull(whose) if whose.endpoint.kind == "ollama" else "Name one that it has."
    return PermanentError("model_missing", f"{whose.endpoint.name} has no model {whose.name}", mend, kind=Kind.MISSING)


def of_broken_line(whose: FaultOrigin, error: Exception) -> CountersignError:
    """The fault behind one of `BROKEN`."""
    where, words = whose.endpoint.url, str(error)
    if "CERTIFICATE_VERIFY_FAILED" in words:
        mend = "Name its authority's file in SSL_CERT_FILE, or mend its certificate."
        return PermanentError("model_refused", f"{whose}: the certificate of {where} is not trusted", mend)
    if isinstance(error, httpx.ConnectTimeout):
        return TransientError("model_down", f"{whose}: no connection to {where} within {CONNECT_S:g} s", _START)
    if isinstance(error, httpx.TimeoutException):
        return TransientError("model_slow", f"{whose} did not answer in time", _LATER)
    if isinstance(error, httpx.ConnectError | ConnectionError):
        return TransientError("model_down", f"{whose}: nobody answers at {where}", _START)
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        return PermanentError("model_refused", f"{whose}: {where} cannot be asked", "Check its `url` and its key.")
    if isinstance(error, httpx.RemoteProtocolError) and not re.search(r"disconnected|peer closed", words):
        return babbled(whose, "the server sent something that is not HTTP")
    return cut_short(whose)


def cut_short(whose: FaultOrigin) -> TransientError:
    """The answer ended before its end."""
    return TransientError("model_down", f"{whose} hung up in the middle of its answer", _LATER)


def slow(whose: FaultOrigin, deadline: str, seconds: float) -> TransientError:
    """A deadline struck: `deadline` says which, `seconds` how long it was."""
    mend = f"Raise it for {whose.endpoint.name} in countersign.yaml, or name a smaller model."
    return TransientError("model_slow", f"{whose} {deadline} within {seconds:g} s", mend)


def babbled(whose: FaultOrigin, what: str) -> PermanentError:
    """What came back is no answer."""
    return PermanentError("model_babbled", f"{whose} gave no proper answer: {what}", _OTHER)


def of_nonsense(whose: FaultOrigin, error: Exception) -> PermanentError:
    """The fault behind one of `NONSENSE`; what was read is not repeated, for nobody knows what it holds."""
    if isinstance(error, ResponseTooLargeError):
        return babbled(whose, f"it sent {error}")
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return babbled(whose, "the server sent something that is not JSON")
    return babbled(whose, "the server sent JSON of another shape than its protocol's")


_LATER: Final = "It is tried again later; look at the server's log if it stays so."
_ROOM: Final = "Make room on the disk of its host, such as by deleting a model there; then do it again."
_START: Final = "Start the server, or correct `url` in countersign.yaml."
_OTHER: Final = "Name another model, or look at the server's log."


def _plain(char: str) -> str:
    return char if unicodedata.category(char)[0] not in "CZ" else " "


def _shares(text: str, private: Iterable[str], length: int) -> bool:
    """Whether `length` characters in a row of `text` stand in one of `private`, or a shorter one of these in it."""
    pieces = [text[n : n + length] for n in range(max(1, len(text) - length + 1))]
    for secret in private:
        plain: Any = " ".join("".join(map(_plain, secret)).split())
        if plain and (any(piece in plain for piece in pieces) or (len(plain) < length and plain in text)):
            return True
    return False
