"""A client of the API on the standard library: no redirects, no cookies, and the token only to the server it is for."""

from __future__ import annotations

import http.client
import ipaddress
import json
import ssl
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from core.model.errors import CountersignError, Kind, PermanentError, Problem, RefusedError, TransientError, UsageError

PATH: Final = "/api/v1"
TIMEOUT_S: Final = 60.0
STREAM_TIMEOUT_S: Final = 45.0
"""Three heartbeats of a stream; one that is silent for longer is opened again."""
MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
_TRIES: Final = 3
_PAUSE_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server answered to a request that it accepted."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The document; raises `PermanentError` if it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise _not_countersign() from error


@dataclass(slots=True)
class RemoteServer:
    """The API at `url`, used with `token`; raises `CountersignError` with the server's own problem."""

    url: str
    token: str = field(repr=False)

    def __post_init__(self) -> None:
        """Raise `UsageError` for an address that is not one, or that would show the token to the network."""
        parts = urlsplit(self.url)
        try:
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise _bad_address(self.url) from error
        if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment or parts.username:
            raise _bad_address(self.url)
        if parts.scheme == "http" and not _is_loopback(host):
            mend = "Use https, or a tunnel: ssh -L 8700:localhost:8700 HOST"
            raise UsageError("plain_http", f"{self.url} would send the token unencrypted", mend)
        self.url = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port or _PORTS[parts.scheme]}"

    def get(self, path: str, headers: Mapping[str, str] | None = None, **query: object) -> Answer:
        """GET a path below /api/v1; parameters that are None are left out."""
        given = {name: str(value) for name, value in query.items() if value is not None}
        return self._tried("GET", f"{path}?{urlencode(given)}" if given else path, None, dict(headers or {}))

    def post(self, path: str, body: Mapping[str, object], headers: Mapping[str, str] | None = None) -> Answer:
        """POST a JSON object with a fresh Idempotency-Key; keys that are None are left out."""
        content = json.dumps({name: value for name, value in body.items() if value is not None}).encode()
        sent = {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4()), **(headers or {})}
        return self._tried("POST", path, content, sent)

    def _tried(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        """Send a request; again if the connection breaks, which the Idempotency-Key makes safe."""
        for attempt in range(1, _TRIES + 1):
            try:
                return self._sent(method, path, body, headers)
            except (OSError, http.client.HTTPException) as error:
                if attempt == _TRIES or isinstance(error, ConnectionRefusedError | ssl.SSLError):
                    raise self._unreachable(error) from error
                time.sleep(_PAUSE_S * attempt)
        raise AssertionError

    def _sent(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        connection = self._connection(TIMEOUT_S)
        try:
            connection.request(method, PATH + path, body, {**headers, "Authorization": f"Bearer {self.token}"})
            response = connection.getresponse()
            content = response.read(MAX_ANSWER_BYTES)
            answer = Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, content)
        finally:
            connection.close()
        _check(answer)
        return answer

    def events(self, after: int, task: int | None = None) -> Iterator[dict[str, Any]]:
        """New events after the one with the id `after`, for ever; goes on where it was after a break."""
        failures = 0
        while True:
            try:
                for event in self._stream(after, task):
                    after, failures = event["id"], 0
                    yield event
            except (OSError, http.client.HTTPException) as error:
                failures += 1
                if failures >= _TRIES:
                    raise self._unreachable(error) from error
            time.sleep(_PAUSE_S * (1 + failures))

    def _stream(self, after: int, task: int | None) -> Iterator[dict[str, Any]]:
        connection = self._connection(STREAM_TIMEOUT_S)
        try:
            path = f"{PATH}/events/stream" + (f"?task={task}" if task is not None else "")
            headers = {"Authorization": f"Bearer {self.token}", "Last-Event-ID": str(after)}
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            if response.status != http.client.OK:
                headers = {name.lower(): value for name, value in response.getheaders()}
                _check(Answer(response.status, headers, response.read(MAX_ANSWER_BYTES)))
            while line := response.readline():
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])
        finally:
            connection.close()

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        host, port = parts.hostname or "", parts.port
        if parts.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=timeout_s)
        return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=ssl.create_default_context())

    def _unreachable(self, error: Exception) -> TransientError:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        mend = "Check the address, and that `countersign serve --port` runs there."
        return TransientError("unreachable", f"{self.url} cannot be reached: {reason}", mend)


_PORTS: Final = {"http": 80, "https": 443}


def _check(answer: Answer) -> None:
    """Raise the server's problem for a status that is not a success."""
    if answer.status < 300 or answer.status == http.client.NOT_MODIFIED:
        return
    try:
        document = json.loads(answer.body)
        problem = Problem.from_json(
            {
                "kind": document["kind"],
                "code": document["code"],
                "message": document["detail"],
                "mend": document["mend"],
                "advice": document.get("advice"),
            }
        )
    except (ValueError, KeyError, TypeError) as error:
        raise _not_countersign() from error
    if answer.status == http.client.UNAUTHORIZED:
        mend = "Check the token; the operator creates one with `countersign tokens create`."
        raise RefusedError(problem.code, problem.message, mend)
    error_of_server = CountersignError(problem.code, problem.message, problem.mend)
    error_of_server.problem = problem
    raise error_of_server


def _not_countersign() -> PermanentError:
    message = "the server does not answer as Countersign's API does"
    return PermanentError("wrong_server", message, "Check the address after --server.", kind=Kind.UNAVAILABLE)


def _bad_address(url: str) -> UsageError:
    return UsageError(
        "bad_server", f"{url!r} is not the address of a server", "Write https://HOST or http://localhost:PORT."
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
