"""Deliveries as GitHub sends them: the recorded ones, ours made from them, and their signatures."""

from __future__ import annotations

import copy
import functools
import hashlib
import hmac
import json
from datetime import UTC, datetime

from tests.counterparts import package

SECRET = "a webhook secret of 32 characters"
NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
JUST_NOW = "2026-11-20T11:59:30Z"
HELLO_WORLD = "186853002"
CODERTOCAT = 21031067


@functools.cache
def _recorded():
    text = (package("@octokit/webhooks-examples") / "api.github.com" / "index.json").read_text(encoding="utf-8")
    return [(kind["name"], example) for kind in json.loads(text) for example in kind["examples"]]


def recorded():
    """(event, payload) of each delivery that GitHub really made."""
    return [(name, copy.deepcopy(payload)) for name, payload in _recorded()]


def example(event, action):
    return next(payload for name, payload in recorded() if name == event and payload["action"] == action)


def commented(body, action="created", at=JUST_NOW, on_pull=False, **author):
    payload = example("issue_comment", action)
    payload["comment"] |= {"body": body, "created_at": at, "updated_at": at}
    payload["comment"]["user"] |= author
    if "id" in author:
        payload["sender"]["id"] = author["id"]
    if on_pull:
        payload["issue"]["pull_request"] = {"url": "https://api.github.com/repos/Codertocat/Hello-World/pulls/1"}
    return payload


def on_line(body, action="created", at=JUST_NOW, **fields):
    payload = example("pull_request_review_comment", action)
    payload["comment"] |= {"body": body, "created_at": at, "updated_at": at, **fields}
    return payload


def reviewed(body, state="commented", action="submitted", at=JUST_NOW):
    payload = example("pull_request_review", "submitted")
    payload["action"] = action
    payload["review"] |= {"body": body, "state": state, "submitted_at": at}
    return payload


def encoded(payload):
    return json.dumps(payload).encode()


def sign(body, secret=SECRET):
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def headers(event, body, **others):
    return {
        "content-type": "application/json",
        "x-github-event": event,
        "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
        "x-hub-signature": "sha1=" + hmac.new(SECRET.encode(), body, hashlib.sha1).hexdigest(),
        "x-hub-signature-256": sign(body),
        **{name.replace("_", "-"): value for name, value in others.items()},
    }
