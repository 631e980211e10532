"""Slack's deliveries, mutated."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from starlette.applications import Starlette

from bot.surfaces.port import SlackConfig
from bot.surfaces.slack.payloads import SHORTCUT, TEXT_FORM, OwnAccount, event_message
from bot.surfaces.slack.surface import SlackSurface
from tests.fakes.slack.fixtures import running, slack, slack_program
from tests.fakes.slack.program import ANA, APP, BOT, BOT_TOKEN, DEV, SECRET, TEAM
from tests.fakes.slack.signing import Signer, message_event
from tests.integration.odd.mutations import CANARY, COUNT, RUNNING, Mutator
from tests.integration.odd.strict_inbox import StrictInbox

pytestmark = pytest.mark.surfaces

__all__ = ["slack", "slack_program"]

USER = {"id": ANA, "username": f"ana {CANARY}", "name": "ana", "team_id": TEAM}
PERSON = {"user": USER, "team": {"id": TEAM, "domain": "ours"}, "api_app_id": APP, "token": "legacy"}
PLACE = {"surface": "slack", "channel": DEV, "thread": None, "private": False}
KEPT = json.dumps({"button": "b1", "message": "1700000000.000100", "place": PLACE})
STATE = {"values": {"words": {"words": {"type": "plain_text_input", "value": f"because {CANARY}"}}}}


def _event(event: dict[str, Any]) -> dict[str, Any]:
    about = {"team_id": TEAM, "api_app_id": APP, "type": "event_callback", "event_id": "Ev1", "event_time": 1}
    return {**about, "event": event, "authorizations": [{"team_id": TEAM, "user_id": BOT, "is_bot": True}]}


def _said(text: str, **more: Any) -> dict[str, Any]:
    return message_event(f"<@{BOT}> {text} {CANARY}", **more)


def _view(callback: str) -> dict[str, Any]:
    view = {"id": "V1", "type": "modal", "callback_id": callback, "private_metadata": KEPT, "state": STATE}
    return {**PERSON, "type": "view_submission", "view": {**view, "team_id": TEAM}}


EVENTS = [
    _event(_said("set a to 1")),
    _event({**_said("set a to 1"), "type": "app_mention"}),
    _event(_said("fix it", channel="D0ANA")),
    _event(_said("and this", thread_ts="1700000000.000100", parent_user_id=BOT)),
    _event(_said("", subtype="file_share", files=[{"id": "F1", "name": CANARY}])),
    _event(
        message_event(
            "",
            subtype="message_changed",
            message={**_said("set a to 2"), "edited": {"user": ANA, "ts": "1700000001.000100"}},
            previous_message=_said("set a to 1"),
        )
    ),
    _event({"type": "app_home_opened", "user": ANA, "channel": "D0ANA", "tab": "home"}),
]
FORMS = [
    {
        **PERSON,
        "type": "block_actions",
        "trigger_id": "1.2.3",
        "channel": {"id": DEV, "name": "dev"},
        "container": {"type": "message", "message_ts": "1700000000.000100", "channel_id": DEV},
        "message": {"ts": "1700000000.000100", "text": CANARY, "user": BOT},
        "actions": [{"type": "button", "action_id": "a", "value": "b1", "action_ts": "1700000000.1"}],
    },
    _view(TEXT_FORM),
    _view(SHORTCUT),
    {
        **PERSON,
        "type": "message_action",
        "callback_id": SHORTCUT,
        "trigger_id": "1.2.4",
        "message_ts": "1700000000.000100",
        "channel": {"id": DEV, "name": "dev"},
        "message": {"type": "message", "user": ANA, "ts": "1700000000.000100", "text": CANARY},
    },
]
COMMAND = {
    "token": "legacy",
    "team_id": TEAM,
    "channel_id": DEV,
    "channel_name": "dev",
    "user_id": ANA,
    "user_name": f"ana {CANARY}",
    "command": "/countersign",
    "text": f"set a to {CANARY}",
    "trigger_id": "1.2.5",
}


async def test_mutated_deliveries_let_every_good_one_be_heard_and_no_words_into_the_log(capfd):
    mutator, inbox, signer = Mutator(3), StrictInbox(), Signer()
    surface = SlackSurface(SlackConfig(BOT_TOKEN, TEAM, signing_secret=SECRET, channels={DEV: ()}))
    surface._own_account = OwnAccount(TEAM, BOT, frozenset({DEV}))

    async def call(*_arguments: Any, **_more: Any) -> dict[str, Any]:
        return {"ok": True, "channel": {"id": "D0ANA"}}

    async def ask(*_arguments: Any, **_more: Any) -> SimpleNamespace:
        return SimpleNamespace(data={"ok": True, "user": {"team_id": TEAM}})

    surface._api.call, surface._api.get = call, ask  # type: ignore[method-assign]  # what we would do there
    transport = httpx.ASGITransport(Starlette(routes=list(surface.routes(inbox))))
    async with httpx.AsyncClient(transport=transport, base_url="http://bot.test") as client:
        for n in range(COUNT):
            kind = mutator.chance.randrange(3)
            if kind == 0:
                body = json.dumps(mutator.of(mutator.chance.choice(EVENTS))).encode()
                signed = signer.sign("/slack/events", body, "application/json")
            elif kind == 1:
                signed = signer.interaction(mutator.of(mutator.chance.choice(FORMS)))
            else:
                form = {key: str(value).encode("utf-8", "replace") for key, value in mutator.of(COMMAND).items()}
                signed = signer.sign("/slack/commands", urlencode(form).encode(), "application/x-www-form-urlencoded")
            answer = await client.post(signed.path, content=signed.body, headers=signed.headers)
            assert answer.status_code in (200, 413), (answer.status_code, signed.body[:500])
            good = signer.event(message_event(f"<@{BOT}> good {n}"))
            assert (await client.post(good.path, content=good.body, headers=good.headers)).status_code == 200
    await surface._end_tasks()
    assert {f"good {n}" for n in range(COUNT)} <= inbox.texts
    out, err = capfd.readouterr()
    assert CANARY not in out + err


def test_mutated_messages_of_a_history_are_read_or_passed_over():
    mutator, ours = Mutator(4), OwnAccount(TEAM, BOT, frozenset({DEV}))
    messages = [body["event"] for body in EVENTS]
    for _ in range(COUNT):
        message = mutator.of(mutator.chance.choice(messages))
        event_message({"team_id": TEAM, "event": {**message, "type": "message", "channel": DEV}}, ours)


async def test_a_running_surface_hears_every_good_message_between_mutated_ones(slack, capfd):
    mutator, inbox = Mutator(5), StrictInbox()
    async with running(SlackSurface(slack.config()), inbox, slack):
        for n in range(RUNNING):
            events = mutator.chance.random() < 0.6
            payload = mutator.of(mutator.chance.choice(EVENTS if events else FORMS))
            await slack.deliver("events_api" if events else "interactive", payload)
            await slack.deliver("events_api", _event(message_event(f"<@{BOT}> good {n}")))
        wanted = {f"good {n}" for n in range(RUNNING)}
        await slack.until(lambda: wanted <= inbox.texts, within_s=300)
        await slack.until(lambda: len(slack.acks) == 2 * RUNNING, within_s=300)
    out, err = capfd.readouterr()
    assert CANARY not in out + err
