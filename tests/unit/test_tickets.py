"""Tickets that a request names: which they are, where they are shown, and what is written there."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.integrations.tickets import MAX_TICKETS, Jira, Linear, TicketComments, Trackers, body_line, tickets_in
from bot.integrations.webhooks.client import CheckedClient
from bot.integrations.webhooks.sender import WebhookSender
from core.services.requests import NewRequest
from core.services.webhooks import Webhooks
from core.store import deliveries, events, pull_requests
from core.store.message_tables import DeliveryRow
from tests import campaign
from tests.builders import ANA, load, pull_request
from tests.integration.outbound.receiver import OK, Receiver, answer
from tests.service_harness import ServiceHarness

pytestmark = [pytest.mark.surfaces, campaign.EITHER]

BOTH = Trackers(Jira("https://acme.atlassian.net/", ("ABC", "X2")), Linear("acme", ("ENG", "ABC")))


def keys(text: str) -> list[str]:
    return [ticket.key for ticket in tickets_in(text, BOTH)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("fix ABC-123", ["ABC-123"]),
        ("ABC-123: set a to 1, see also ENG-7 and X2-1.", ["ABC-123", "ENG-7", "X2-1"]),
        ("(ABC-1) [ENG-2], “ABC-3”", ["ABC-1", "ENG-2", "ABC-3"]),
        ("ABC-1 ABC-1 ABC-2", ["ABC-1", "ABC-2"]),
        ("UTF-8, SHA-256, abc-1, Abc-1, ZZZ-9", []),
        ("ABC-0 ABC-01 ABC- ABC-1x xABC-1 ABC-1-2 ABC-1234567890", []),
        ("branch feature/ABC-1 file ABC-1.md path ABC-1/x #ABC-1 a.ABC-1 @ABC-1", []),
        ("see https://acme.atlassian.net/browse/ABC-1 or www.x.com/ABC-2", []),
        ("[ABC-1](https://acme.example/ABC-1)", []),
        ("set `ABC-1` and\n```\nABC-2\n```\nABC-3", ["ABC-3"]),
        ("ABC-1\n```\nABC-2", ["ABC-1"]),
        ("ABC-\uff11\uff12", []),
    ],
)
def test_only_known_keys_in_prose_are_tickets(text, found):
    assert keys(text) == found


def test_a_link_leads_to_the_tracker_that_knows_the_project():
    tickets = tickets_in("ABC-1 ENG-2", BOTH)
    assert [(ticket.key, ticket.url) for ticket in tickets] == [
        ("ABC-1", "https://acme.atlassian.net/browse/ABC-1"),
        ("ENG-2", "https://linear.app/acme/issue/ENG-2"),
    ]
    assert body_line(tickets) == (
        "Tickets: [ABC-1](https://acme.atlassian.net/browse/ABC-1), [ENG-2](https://linear.app/acme/issue/ENG-2)"
    )
    assert body_line(()) == ""
    assert tickets_in("ABC-1", Trackers()) == ()


def test_a_request_is_linked_to_ten_at_most():
    assert len(keys(" ".join(f"ABC-{n}" for n in range(1, 100)))) == MAX_TICKETS


@given(
    st.text(max_size=200) | st.lists(st.sampled_from(["ABC-1", "`", "```", "://", " ", "x", "-", "\n"])).map("".join)
)
def test_any_text_has_tickets_or_none(text):
    assert all(ticket.key in text for ticket in tickets_in(text, BOTH))


@pytest.mark.parametrize("piece", ["`", "```", "a.", "ABC-", "A", "://", "ABC-1 ", "ABC-999999999", " "])
def test_the_longest_texts_are_read_at_once(piece):
    started = time.process_time()
    tickets_in(piece * (64 * 1024 // len(piece)), BOTH)
    assert time.process_time() - started < 0.5


@pytest.fixture
def services(database):
    return ServiceHarness(database)


def trackers(receiver, **without):
    jira = Jira(receiver.url(path="/jira"), ("ABC",), "t0ken", "bot@acme.example", allow_private=True)
    linear = Linear("acme", ("ENG",), "lin_t0ken", receiver.url(path="/graphql"), allow_private=True)
    return Trackers(**{"jira": jira, "linear": linear, **without})


async def published(services: ServiceHarness, text: str) -> None:
    """As if the task of `text` had just been published."""
    number = await services.requests.ask(NewRequest(text=text, actor=ANA))
    task = await load(services.database, number)

    async def work(tx):
        await pull_requests.save(tx, task, pull_request(number))
        await events.append(tx, number=number, kind="task.published")

    await services.database.write(work)


async def run(services: ServiceHarness, known: Trackers, text: str) -> WebhookSender:
    comments = TicketComments(lambda: known, CheckedClient())
    out = WebhookSender(Webhooks(services.database), tuple, receivers=comments)
    await out.round()
    await published(services, text)
    for _ in range(4):
        await out.round()
    return out


async def test_what_became_of_a_request_is_told_to_its_tickets(services, database):
    async with Receiver(answers=lambda _n: answer(200, body=b'{"data": {}}')) as receiver:
        await run(services, trackers(receiver), "set a to 1 for ABC-1 and ENG-2, the-word, not `ABC-9`")
        by_path = {got.line.split()[1]: got for got in receiver.got}
        assert sorted(by_path) == ["/graphql", "/jira/rest/api/2/issue/ABC-1/comment"]
        jira, linear = by_path["/jira/rest/api/2/issue/ABC-1/comment"], by_path["/graphql"]
        assert "forge://web/1" in json.loads(jira.body)["body"]
        assert jira.headers["authorization"].startswith("Basic ")
        given_in = json.loads(linear.body)["variables"]["input"]
        assert given_in["issueId"] == "ENG-2"
        assert linear.headers["authorization"] == "lin_t0ken"
        assert b"the-word" not in jira.body + linear.body
        counts = await database.read(deliveries.counts)
        assert counts == {("jira:ABC-1", "sent"): 1, ("linear:ENG-2", "sent"): 1}


async def test_a_comment_is_tried_again_and_linear_knows_it_again(services, database):
    async with Receiver(answers=lambda n: answer(502) if n == 1 else answer(200, body=b"{}")) as receiver:
        out = await run(services, trackers(receiver, jira=None), "set a to 1 for ENG-2")
        assert len(receiver.got) == 1
        await database.write(due_now)
        await out.round()
        first, second = (json.loads(got.body)["variables"]["input"]["id"] for got in receiver.got)
        assert first == second


async def due_now(tx) -> None:
    from sqlalchemy import update

    await tx.session.execute(update(DeliveryRow).values(due_ms=0))


@pytest.mark.parametrize(
    ("body", "state"),
    [
        (b'{"errors": [{"extensions": {"code": "RATELIMITED"}}]}', "due"),
        (b'{"errors": [{"message": "no such issue"}]}', "failed"),
        (b"<html>", "due"),
        (b"[]", "due"),
    ],
)
async def test_errors_that_linear_tells_with_a_good_status_are_errors(services, database, body, state):
    async with Receiver(answers=lambda _n: answer(200, body=body)) as receiver:
        await run(services, trackers(receiver, jira=None), "set a to 1 for ENG-2")
        assert await database.read(deliveries.counts) == {("linear:ENG-2", state): 1}


async def test_without_a_token_nothing_is_written(services, database):
    async with Receiver(answers=lambda _n: OK) as receiver:
        await run(services, BOTH, "set a to 1 for ENG-2 and ABC-1")
        assert receiver.got == []
        assert await database.read(deliveries.counts) == {}
