"""PyGithub's `Github` as we use it: paced, remembering what did not change, and one thread at a time.

A `Github` keeps the request under way in its connection object, so two threads must never share one: a pool lends
each to one thread. On every request's way we see to three things that PyGithub does not: a pause between changes that
all of them share, conditional requests (an unchanged answer costs nothing of the rate limit), and that a redirect of a
changing request is an error rather than a success with an odd body.
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

_ENTRIES: Final = 256
_ENTRY_CHARS: Final = 512 * 1024
_PAGE: Final = 100
_IDLE: Final = 8


class Pace:
    """One change at a time, `between_s` apart (GitHub asks for a second), and none at all while GitHub says wait."""

    def __init__(self, between_s: float) -> None:
        self._between_s = between_s
        self._lock = threading.Lock()
        self._next = 0.0
        self._closed_until = 0.0

    def turn(self, *, change: bool) -> None:
        """Wait for our turn; raises `TransientError` at once while GitHub has told us to wait."""
        self._check_open()
        if not change or not self._between_s:
            return
        with self._lock:
            now = time.monotonic()
            at = max(now, self._next)
            self._next = at + self._between_s
        time.sleep(at - now)
        self._check_open()

    def hold(self, wait_s: float) -> None:
        """Ask nothing for so long."""
        self._closed_until = max(self._closed_until, time.monotonic() + wait_s)

    def _check_open(self) -> None:
        left_s = self._closed_until - time.monotonic()
        if left_s > 0:
            message = f"GitHub asks us to wait {left_s:.0f} s"
            raise TransientError(RATE_LIMIT, message, retry_after_s=left_s)


class Memory:
    """The last answers with their ETags, the least used forgotten first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[str, dict[str, Any], str]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, key: str) -> tuple[str, dict[str, Any], str] | None:
        """(ETag, headers, text) of the last answer."""
        with self._lock:
            found = self._kept.get(key)
            if found:
                self._kept.move_to_end(key)
            return found

    def keep(self, key: str, headers: dict[str, Any], text: Any) -> None:
        """Remember an answer, if it can be asked for conditionally and is not large."""
        etag = headers.get("etag")
        if not etag or not isinstance(text, str) or len(text) > _ENTRY_CHARS:
            return
        with self._lock:
            self._kept[key] = (etag, headers, text)
            self._kept.move_to_end(key)
            while len(self._kept) > _ENTRIES:
                self._kept.popitem(last=False)


class Sessions:
    """Lends `Github` objects, each with the token it was made for."""

    def __init__(self, api_url: str, pace: Pace, request_s: float) -> None:
        self._api_url, self._pace, self._request_s = api_url, pace, request_s
        self._memory = Memory()
        self._idle: list[tuple[str, Github]] = []
        self._closed = False
        self._lock = threading.Lock()

    @contextmanager
    def lent(self, token: str) -> Iterator[Github]:
        """A `Github` that nobody else uses meanwhile."""
        found = self._take(token) or self._make(token)
        try:
            yield found
        finally:
            self._return(token, found)

    def close(self, token: str | None = None) -> None:
        """Close the idle ones of one token; without one, all, and those still lent when they return."""
        with self._lock:
            self._closed = self._closed or token is None
            gone = [entry for entry in self._idle if token in (None, entry[0])]
            self._idle = [entry for entry in self._idle if entry not in gone]
        for _, session in gone:
            session.close()

    def _return(self, token: str, session: Github) -> None:
        """Keep it for the next one; the oldest go, for an app's token is another one every hour."""
        with self._lock:
            self._idle.append((token, session))
            surplus = len(self._idle) if self._closed else len(self._idle) - _IDLE
            gone = [self._idle.pop(0) for _ in range(surplus)]
        for _, old in gone:
            old.close()

    def _take(self, token: str) -> Github | None:
        with self._lock:
            for n, (known, session) in enumerate(self._idle):
                if known == token:
                    del self._idle[n]
                    return session
        return None

    def _make(self, token: str) -> Github:
        made = plain(self._api_url, Auth.Token(token), self._request_s)
        self._watch(made, token)
        return made

    def _watch(self, session: Github, token: str) -> None:
        """Put ourselves between a session and its connection."""
        requester: Any = session.requester
        send = requester.requestJson

        def watched(
            verb: str, url: str, parameters: Any = None, headers: Any = None, *more: Any, **others: Any
        ) -> tuple[int, dict[str, Any], Any]:
            self._pace.turn(change=verb not in ("GET", "HEAD"))
            key = f"{url} {json.dumps(parameters, sort_keys=True, default=str)}"
            known = self._memory.of(key) if verb == "GET" else None
            asked = dict(headers or {}) | ({"If-None-Match": known[0]} if known else {})
            try:
                status, answered, text = send(verb, url, parameters, asked, *more, **others)
            except RuntimeError as error:  # how PyGithub says that a redirect leads to another host
                raise MovedError from error
            if known and status == 304:
                return 200, known[1], known[2]
            if 300 <= status < 400 and status != 304:
                raise MovedError
            if status >= 400 and isinstance(text, str):  # an exception will carry it, into logs perhaps
                text = without_tokens(text.replace(token, "[withheld]"))
            if verb == "GET" and status == 200:
                self._memory.keep(key, answered, text)
            return status, answered, text

        requester.requestJson = watched


def plain(api_url: str, auth: Auth.Auth, request_s: float) -> Github:
    """A `Github` that neither retries nor pauses on its own: the queue and `Pace` do."""
    return Github(
        auth=auth,
        base_url=api_url,
        timeout=max(1, round(request_s)),
        user_agent="countersign",
        per_page=_PAGE,
        retry=None,
        seconds_between_requests=0,
        seconds_between_writes=0,
    )
