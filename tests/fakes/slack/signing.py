"""Requests as Slack signs them (v0), for the HTTP addresses of the surface; and the bodies it sends there."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from tests.fakes.slack.program import ANA, APP, BOT, DEV, SECRET, TEAM

_COUNT = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Signed:
    """A request to post: `path`, `body` (raw bytes) and `headers`; `httpx.post(url + path, content=body, …)`."""

    path: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs with `secret`, `age_s` seconds ago."""

    secret: str = SECRET
    age_s: int = 0

    def event(self, event: dict[str, Any], **outer: Any) -> Signed:
        """An Events API delivery of `event`; `outer` replaces fields around it."""
        body = {
            "token": "legacy",
            "team_id": TEAM,
            "api_app_id": APP,
            "type": "event_callback",
            "event": event,
            "event_id": f"Ev{next(_COUNT):08}",
            "event_time": int(time.time()),
            "is_ext_shared_channel": False,
            "authorizations": [{"enterprise_id": None, "team_id": TEAM, "user_id": BOT, "is_bot": True}],
            **outer,
        }
        return self.sign("/slack/events", json.dumps(body).encode(), "application/json")

    def interaction(self, payload: dict[str, Any]) -> Signed:
        """A click, a form or a shortcut."""
        form = urlencode({"payload": json.dumps(payload)})
        return self.sign("/slack/interactions", form.encode(), "application/x-www-form-urlencoded")

    def command(self, text: str, user: str = ANA, channel: str = DEV, **fields: str) -> Signed:
        """`/countersign text`."""
        form = {
            "token": "legacy",
            "team_id": TEAM,
            "team_domain": "ours",
            "channel_id": channel,
            "channel_name": "dev",
            "user_id": user,
            "user_name": "somebody",
            "command": "/countersign",
            "text": text,
            "api_app_id": APP,
            "is_enterprise_install": "false",
            "response_url": "http://127.0.0.1:9/",
            "trigger_id": _trigger(),
            **fields,
        }
        return self.sign("/slack/commands", urlencode(form).encode(), "application/x-www-form-urlencoded")

    def sign(self, path: str, body: bytes, media_type: str) -> Signed:
        """Any bytes, signed."""
        stamp = str(int(time.time()) - self.age_s)
        digest = hmac.new(self.secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
        headers = {
            "content-type": media_type,
            "x-slack-request-timestamp": stamp,
            "x-slack-signature": f"v0={digest}",
            "user-agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
        }
        return Signed(path, body, headers)


def message_event(text: str, user: str = ANA, channel: str = DEV, **fields: Any) -> dict[str, Any]:
    """A message as the Events API tells of it."""
    ts = f"{int(time.time())}.{next(_COUNT):06}"
    return {
        "type": "message",
        "channel": channel,
        "user": user,
        "text": text,
        "ts": ts,
        "event_ts": ts,
        "team": TEAM,
        "channel_type": "im" if channel.startswith("D") else "channel",
        **fields,
    }


def _trigger() -> str:
    return f"{next(_COUNT)}.{next(_COUNT)}.signed"
