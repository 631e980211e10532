"""Webhooks: what GitHub would have sent, kept, and really sent to those who asked for it."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import queue
import threading
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.fakes.github.state import Event, Repo

if TYPE_CHECKING:
    from tests.fakes.github.server import FakeGitHub


@dataclass(frozen=True)
class Delivery:
    """One POST of an event and what it was answered (0: no one answered)."""

    event: Event
    url: str
    status: int


def signed(event: Event, secret: str, delivery: str | None = None) -> dict[str, str]:
    """The headers that GitHub sends with an event."""
    key = secret.encode()
    return {
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/044aadd",
        "X-GitHub-Event": event.name,
        "X-GitHub-Delivery": delivery or event.delivery,
        "X-GitHub-Hook-ID": "1",
        "X-GitHub-Hook-Installation-Target-Type": "repository",
        "X-Hub-Signature": "sha1=" + hmac.new(key, event.body, hashlib.sha1).hexdigest(),
        "X-Hub-Signature-256": "sha256=" + hmac.new(key, event.body, hashlib.sha256).hexdigest(),
    }


class Hooks:
    """The webhooks of one fake. `sent` is every event, whether or not anybody listens."""

    def __init__(self, hub: FakeGitHub) -> None:
        self._hub = hub
        self._targets: list[tuple[str, str]] = []
        self._owed: queue.Queue[tuple[Event, str, str, str | None] | None] = queue.Queue()
        self._thread: threading.Thread | None = None
        self.sent: list[Event] = []
        self.delivered: list[Delivery] = []

    def to(self, url: str, secret: str) -> None:
        """POST every event from now on to `url`, signed with `secret`; in order, each once."""
        self._targets.append((url, secret))
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()

    def emit(self, repo: Repo, name: str, action: str | None, login: str, /, **payload: Any) -> Event:
        """Send one event of `repo` that `login` caused."""
        value: dict[str, Any] = {"action": action} if action else {}
        shapes = self._hub.shapes
        value |= {"repository": shapes.repo(repo), "sender": shapes.user(login)} | payload
        owner = repo.owner.lower()
        for app in self._hub.apps.values():
            for number, where in app.installations.items():
                if where.lower() == owner:
                    value["installation"] = {"id": number, "node_id": f"MDIz{number}"}
        event = Event(name, str(uuid.uuid4()), json.dumps(value).encode(), value, repo.full_name)
        self.sent.append(event)
        for url, secret in self._targets:
            self._owed.put((event, url, secret, None))
        return event

    def again(self, event: Event, *, new_delivery: bool = False) -> None:
        """Send an event again, as someone who presses "Redeliver", or with another delivery id."""
        for url, secret in self._targets:
            self._owed.put((event, url, secret, str(uuid.uuid4()) if new_delivery else None))

    def settle(self, within_s: float = 60) -> None:
        """Wait until every event was delivered."""
        until = time.monotonic() + within_s
        while self._owed.unfinished_tasks:
            if time.monotonic() > until:
                raise TimeoutError(f"{self._owed.unfinished_tasks} webhooks are still owed")
            time.sleep(0.01)

    def stop(self) -> None:
        """Deliver nothing more."""
        if self._thread is not None:
            self._owed.put(None)
            self._thread.join(10)

    def _work(self) -> None:
        while (owed := self._owed.get()) is not None:
            event, url, secret, delivery = owed
            try:
                status = _post(url, event, signed(event, secret, delivery))
            except OSError:
                status = 0
            self.delivered.append(Delivery(event, url, status))
            self._owed.task_done()
        self._owed.task_done()


def _post(url: str, event: Event, headers: dict[str, str]) -> int:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        connection.request("POST", parts.path or "/", event.body, headers)
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()
