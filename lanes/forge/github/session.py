"""A pool of PyGithub's `Github` objects, with paced changes, conditional requests and errors for redirects.

Two threads must not share a `Github`, because its connection object holds the running request. The pool lends each to
one thread at a time. Each request goes through three additions: a pause between changes that all sessions share,
conditional requests (an unchanged answer does not count against the rate limit), and an error for a redirected change,
which PyGithub reports as a success.
"""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from github import Auth, Github

from core.model.errors import TransientError
from lanes.forge.github.faults import RATE_LIMIT, MovedError, without_tokens

_MAX_CACHED: Final = 256
_MAX_CACHED_CHARS: Final = 512 * 1024
_PER_PAGE: Final = 100
_MAX_IDLE: Final = 8


class RequestPacer:
    """Spaces changing requests `between_s` apart (GitHub asks for 1 s), and refuses all during a rate limit."""

    def __init__(self, between_s: float) -> None:
        self._between_s = between_s
        self._lock = threading.Lock()
        self._next_change_at = 0.0
        self._limited_until = 0.0

    def wait_turn(self, *, change: bool) -> None:
        """Wait until the next change is due; raises `TransientError` at once during a rate limit."""
        self._check_rate_limit()
        if not change or not self._between_s:
            return
        with self._lock:
            now = time.monotonic()
            at = max(now, self._next_change_at)
            self._next_change_at = at + self._between_s
        time.sleep(at - now)
        self._check_rate_limit()

    def hold(self, wait_s: float) -> None:
        """Refuse requests for `wait_s`."""
        self._limited_until = max(self._limited_until, time.monotonic() + wait_s)

    def _check_rate_limit(self) -> None:
        remaining_s = self._limited_until - time.monotonic()
        if remaining_s > 0:
            message = f"GitHub requires a wait of {remaining_s:.0f} s"
            raise TransientError(RATE_LIMIT, message, retry_after_s=remaining_s)


class AnswerCache:
    """The last answers with their ETags; evicts the least recently used."""

    def __init__(self) -> None:
        self._answers: OrderedDict[str, tuple[str, dict[str, Any], str]] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, key: str) -> tuple[str, dict[str, Any], str] | None:
        """(ETag, headers, text) of the last answer."""
        with self._lock:
            answer = self._answers.get(key)
            if answer:
                self._answers.move_to_end(key)
            return answer

    def store(self, key: str, headers: dict[str, Any], text: Any) -> None:
        """Store an answer that has an ETag and is not large."""
        etag = headers.get("etag")
        if not etag or not isinstance(text, str) or len(text) > _MAX_CACHED_CHARS:
            return
        with self._lock:
            self._answers[key] = (etag, headers, text)
            self._answers.move_to_end(key)
            while len(self._answers) > _MAX_CACHED:
                self._answers.popitem(last=False)


class SessionPool:
    """Lends `Github` objects, each with the token that it was created for."""

    def __init__(self, api_url: str, pacer: RequestPacer, request_s: float) -> None:
        self._api_url, self._pacer, self._request_s = api_url, pacer, request_s
        self._cache = AnswerCache()
        self._idle: list[tuple[str, Github]] = []
        self._closed = False
        self._lock = threading.Lock()

    @contextmanager
    def borrow(self, token: str) -> Iterator[Github]:
        """A `Github` that no other thread uses during the block."""
        session = self._take(token) or self._create(token)
        try:
            yield session
        finally:
            self._return(token, session)

    def close(self, token: str | None = None) -> None:
        """Close the idle sessions of one token; without a token all sessions, borrowed ones when they return."""
        with self._lock:
            self._closed = self._closed or token is None
            closing = [entry for entry in self._idle if token in (None, entry[0])]
            self._idle = [entry for entry in self._idle if entry not in closing]
        for _, session in closing:
            session.close()

    def _return(self, token: str, session: Github) -> None:
        """Return a session to the pool; close the oldest beyond the limit, as an app's token changes every hour."""
        with self._lock:
            self._idle.append((token, session))
            surplus = len(self._idle) if self._closed else len(self._idle) - _MAX_IDLE
            closing = [self._idle.pop(0) for _ in range(surplus)]
        for _, old in closing:
            old.close()

    def _take(self, token: str) -> Github | None:
        with self._lock:
            for n, (session_token, session) in enumerate(self._idle):
                if session_token == token:
                    del self._idle[n]
                    return session
        return None

    def _create(self, token: str) -> Github:
        session = create_github(self._api_url, Auth.Token(token), self._request_s)
        self._intercept(session, token)
        return session

    def _intercept(self, session: Github, token: str) -> None:
        """Replace the session's method that sends requests."""
        requester: Any = session.requester
        send = requester.requestJson

        def send_intercepted(
            verb: str, url: str, parameters: Any = None, headers: Any = None, *more: Any, **others: Any
        ) -> tuple[int, dict[str, Any], Any]:
            self._pacer.wait_turn(change=verb not in ("GET", "HEAD"))
            key = f"{url} {json.dumps(parameters, sort_keys=True, default=str)}"
            cached = self._cache.find(key) if verb == "GET" else None
            sent_headers = dict(headers or {}) | ({"If-None-Match": cached[0]} if cached else {})
            try:
                status, answer_headers, text = send(verb, url, parameters, sent_headers, *more, **others)
            except RuntimeError as error:  # PyGithub's error for a redirect to another host
                raise MovedError from error
            if cached and status == 304:
                return 200, cached[1], cached[2]
            if 300 <= status < 400 and status != 304:
                raise MovedError
            if status >= 400 and isinstance(text, str):  # an exception may carry it into logs
                text = without_tokens(text.replace(token, "[withheld]"))
            if verb == "GET" and status == 200:
                self._cache.store(key, answer_headers, text)
            return status, answer_headers, text

        requester.requestJson = send_intercepted


def create_github(api_url: str, auth: Auth.Auth, request_s: float) -> Github:
    """A `Github` without its own retries and pauses, which the queue and `RequestPacer` provide."""
    return Github(
        auth=auth,
        base_url=api_url,
        timeout=max(1, round(request_s)),
        user_agent="countersign",
        per_page=_PER_PAGE,
        retry=None,
        seconds_between_requests=0,
        seconds_between_writes=0,
    )
