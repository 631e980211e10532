"""Slack over HTTP: what is signed is heard once, what is not is a 401, and nothing a stranger sends is a 5xx."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette

from bot.surfaces.port import ButtonPress
from bot.surfaces.slack.surface import SlackSurface
from bot.surfaces.slack.webhook import MAX_BODY_BYTES, is_signed
from tests.fakes.inbox import FakeInbox
from tests.fakes.slack.fixtures import running
from tests.fakes.slack.program import BOT, DEV, LEE, OTHER, SECRET, STRANGER, TEAM
from tests.fakes.slack.signing import Signed, Signer, message_event

pytestmark = pytest.mark.surfaces

MENTION = f"<@{BOT}> bump x to 2"


class SignedHttpClient:
    """The surface's addresses, as a web server would serve them."""

    def __init__(self, slack, inbox, client):
        self.slack, self.inbox, self._client = slack, inbox, client

    async def post(self, signed: Signed, body: bytes | None = None, **headers: str | bytes | None) -> httpx.Response:
        """Post it; `headers` (with _ for -) replace its own, None leaves one out."""
        merged = {**signed.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        sent = [
            (name.encode(), value if isinstance(value, bytes) else value.encode())
            for name, value in merged.items()
            if value is not None
        ]
        content = signed.body if body is None else body
        answer: httpx.Response = await self._client.post(signed.path, content=content, headers=sent)
        return answer


@pytest_asyncio.fixture
async def client(slack) -> AsyncIterator[SignedHttpClient]:
    surface, inbox = SlackSurface(slack.config_http()), FakeInbox()
    app = Starlette(routes=list(surface.routes(inbox)))
    transport = httpx.ASGITransport(app)
    async with running(surface, inbox), httpx.AsyncClient(transport=transport, base_url="http://bot.test") as client:
        yield SignedHttpClient(slack, inbox, client)


def click(user=LEE, team=TEAM, trigger="1.2.abc", **fields):
    return {
        "type": "block_actions",
        "user": {"id": user, "username": "lee", "team_id": team},
        "team": {"id": TEAM},
        "container": {"type": "message", "message_ts": "1700000000.000100", "channel_id": DEV},
        "channel": {"id": DEV},
        "message": {"ts": "1700000000.000100", "thread_ts": "1700000000.000001"},
        "trigger_id": trigger,
        "actions": [{"type": "button", "action_id": "opaque", "value": "opaque", "action_ts": "1700000001.000000"}],
        **fields,
    }


async def test_signed_messages_commands_and_clicks_are_accepted(client):
    for signed in (
        Signer().event(message_event(MENTION)),
        Signer().command("help", LEE),
        Signer().interaction(click()),
    ):
        answer = await client.post(signed)
        assert (answer.status_code, answer.text) == (200, "")
    message, command, clicked = client.inbox.messages
    assert (message.text, command.text) == ("bump x to 2", "help")
    assert isinstance(clicked, ButtonPress)
    assert (clicked.button, clicked.place.thread) == ("opaque", "1700000000.000001")


async def test_a_signed_request_replayed_has_no_second_effect(client):
    for signed in (
        Signer(age_s=10).event(message_event(MENTION)),
        Signer().command("help"),
        Signer().interaction(click()),
    ):
        for _ in range(3):
            assert (await client.post(signed)).status_code == 200
    assert len(client.inbox.messages) == 3
    assert client.inbox.deliveries == 9


async def test_the_same_words_as_message_and_mention_and_in_three_retries_are_one(client):
    event = message_event(MENTION)
    for number, kind in enumerate(("message", "app_mention", "message", "message", "message")):
        signed = Signer().event({**event, "type": kind}, event_id=f"Ev{min(number, 2)}")
        assert (
            await client.post(signed, x_slack_retry_num=str(number), x_slack_retry_reason="timeout")
        ).status_code == 200
    assert len(client.inbox.messages) == 1


async def test_a_retry_whose_first_delivery_was_never_kept_is_kept(client):
    client.inbox.refuses = True
    signed = Signer().event(message_event(MENTION))
    assert (await client.post(signed)).status_code == 503
    client.inbox.refuses = False
    assert (await client.post(signed, x_slack_retry_num="1")).status_code == 200
    assert len(client.inbox.messages) == 1


async def test_fifty_clicks_at_once_are_each_acknowledged_and_one_clicked_fifty_times_is_one(client):
    same = Signer().interaction(click(trigger="same"))
    other = [Signer().interaction(click(trigger=f"t{n}")) for n in range(50)]
    answers = await asyncio.gather(*(client.post(signed) for signed in [same] * 50 + other))
    assert {answer.status_code for answer in answers} == {200}
    assert len(client.inbox.messages) == 51


async def test_a_click_in_the_name_of_another_workspace_is_nobodys(client):
    for payload in (click(team="T0THEIRS"), click(STRANGER, team="T0THEIRS"), click(team={"$ne": 1}), click(user="")):
        assert (await client.post(Signer().interaction(payload))).status_code in (200, 400)
    assert not client.inbox.messages


async def test_words_in_a_channel_that_is_not_listened_in_are_acknowledged_and_ignored(client):
    assert (await client.post(Signer().event(message_event(MENTION, channel=OTHER)))).status_code == 200
    assert (await client.post(Signer().event(message_event(MENTION), team_id="T0THEIRS"))).status_code == 200
    assert not client.inbox.messages


async def test_the_address_is_confirmed_only_to_slack(client):
    body = json.dumps({"type": "url_verification", "challenge": "3eZbrw1aB", "token": "legacy"}).encode()
    signed = Signer().sign("/slack/events", body, "application/json")
    assert (await client.post(signed)).json() == {"challenge": "3eZbrw1aB"}
    assert (await client.post(signed, x_slack_signature=None)).status_code == 401
    assert (
        await client.post(Signer("another secret").sign("/slack/events", body, "application/json"))
    ).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"x_slack_signature": None},
        {"x_slack_signature": ""},
        {"x_slack_signature": "v0="},
        {"x_slack_signature": "v0=" + "0" * 64},
        {"x_slack_signature": "v0=" + "0" * 63},
        {"x_slack_signature": "v0=é".encode()},
        {"x_slack_signature": b"v0=" + b"\xff" * 64},
        {"x_slack_signature": "v1=" + "0" * 64},
        {"x_slack_request_timestamp": None},
        {"x_slack_request_timestamp": ""},
        {"x_slack_request_timestamp": "abc"},
        {"x_slack_request_timestamp": "-1"},
        {"x_slack_request_timestamp": "1e30"},
        {"x_slack_request_timestamp": "9" * 400},
        {"x_slack_request_timestamp": "1700000000.5"},
        {"x_slack_request_timestamp": " 1700000000"},
        {"x_slack_request_timestamp": "٣" * 10},
        {"x_slack_request_timestamp": "4102444800"},  # the year 2100
        {"x_slack_request_timestamp": "0"},
    ],
    ids=str,
)
async def test_a_request_that_slack_did_not_sign_is_a_401(client, headers):
    for signed in (Signer().event(message_event(MENTION)), Signer().command("help"), Signer().interaction(click())):
        assert (await client.post(signed, **headers)).status_code == 401
    assert not client.inbox.deliveries


async def test_an_upper_case_signature_is_none(client):
    signed = Signer().event(message_event(MENTION))
    signature = signed.headers["x-slack-signature"].upper().replace("V0", "v0")
    assert (await client.post(signed, x_slack_signature=signature)).status_code == 401


async def test_a_changed_byte_or_another_encoding_of_the_same_words_is_a_401(client):
    signed = Signer().event(message_event(MENTION))
    for body in (
        signed.body + b" ",
        signed.body.replace(b"x to 2", b"x to 3"),
        json.dumps(json.loads(signed.body), indent=1).encode(),
    ):
        assert (await client.post(signed, body)).status_code == 401
    assert not client.inbox.deliveries


@pytest.mark.parametrize("age_s", [301, -301, 10**6])
async def test_an_old_request_or_one_of_the_future_is_a_401(client, age_s):
    assert (await client.post(Signer(age_s=age_s).event(message_event(MENTION)))).status_code == 401


async def test_a_signed_body_that_is_no_utf_8_is_a_401(client):
    for path in ("/slack/events", "/slack/interactions", "/slack/commands"):
        signed = Signer().sign(path, b'{"type": "\xff\xfe"}', "application/json")
        assert (await client.post(signed)).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"1",
        b"NaN",
        b"{",
        b"payload=",
        b"payload=%7B",
        b"payload=[]",
        b"command",
        b"&" * 1000,
        b"payload=%ff%fe",
        b"a=1&" * 200,
        b'{"a":' * 50_000,
        b"[" * 100_000,
        b'{"type": 1, "event": []}',
        b'{"type": "event_callback", "event": {"type": ["message"]}}',
        b'{"type": "event_callback", "team_id": "T0OURS"}',
        b"payload=%7B%22type%22%3A%22block_actions%22%7D",
        b"payload=%7B%22type%22%3A%22view_submission%22%2C%22view%22%3A%5B%5D%7D",
        b"payload=%7B%22type%22%3A%22block_actions%22%2C%22actions%22%3A%5B%5D%7D",
        b"command=%2Fcountersign",
        b"command=%2Fother&text=x",
    ],
    ids=lambda body: body[:20],
)
async def test_nothing_that_is_signed_but_odd_fails_with_a_5xx_or_is_accepted(client, body):
    for path, kind in (
        ("/slack/events", "application/json"),
        ("/slack/interactions", "application/x-www-form-urlencoded"),
        ("/slack/commands", "application/x-www-form-urlencoded"),
    ):
        answer = await client.post(Signer().sign(path, body, kind))
        assert answer.status_code < 500, (path, answer.status_code)
    assert not client.inbox.messages


@pytest.mark.parametrize(("over", "status"), [(0, 200), (1, 413)])
async def test_a_body_at_the_limit_is_read_and_one_past_it_is_not(client, over, status):
    signed = Signer().sign("/slack/events", b"x" * (MAX_BODY_BYTES + over), "application/json")
    assert (await client.post(signed)).status_code == status


async def test_a_body_without_end_is_cut_off_at_the_limit(client):
    sent = 0

    async def endless():
        nonlocal sent
        while True:
            sent += 100_000
            yield b"x" * 100_000

    answer = await client._client.post("/slack/events", content=endless())
    assert answer.status_code == 413
    assert sent <= MAX_BODY_BYTES + 300_000


async def test_only_post_is_answered(client):
    for method in ("GET", "PUT", "DELETE"):
        assert (await client._client.request(method, "/slack/events")).status_code == 405


async def test_an_ear_that_fails_unexpectedly_is_a_500_that_says_nothing(slack):
    class Broken(FakeInbox):
        async def accept(self, said):
            raise RuntimeError(f"the secret is {SECRET}")

    surface, inbox = SlackSurface(slack.config_http()), Broken()
    transport = httpx.ASGITransport(Starlette(routes=list(surface.routes(inbox))))
    async with httpx.AsyncClient(transport=transport, base_url="http://bot.test") as client:
        signed = Signer().event(message_event(MENTION))
        answer = await client.post(signed.path, content=signed.body, headers=signed.headers)
    assert (answer.status_code, answer.text) == (500, "")


def test_without_a_signing_secret_there_is_no_address(slack):
    assert not SlackSurface(slack.config()).routes(FakeInbox())


@given(st.binary(max_size=200), st.binary(max_size=80), st.binary(max_size=100), st.binary(max_size=40))
def test_no_bytes_at_all_make_the_check_raise_or_pass(body, stamp, signature, secret):
    assert is_signed(secret, stamp, signature, body, time.time()) is False


@given(st.binary(max_size=500), st.integers(0, 10**10), st.integers(-400, 400))
def test_what_slack_signs_passes_for_five_minutes_and_no_changed_byte_does(body, stamp, age_s):
    text = str(stamp).encode()
    signed = b"v0=" + hmac.new(SECRET.encode(), b"v0:" + text + b":" + body, hashlib.sha256).hexdigest().encode()
    assert is_signed(SECRET.encode(), text, signed, body, stamp + age_s) == (abs(age_s) <= 300)
    assert not is_signed(SECRET.encode(), text, signed, body + b"\0", stamp)
    assert not is_signed(b"", text, signed, body, stamp)
