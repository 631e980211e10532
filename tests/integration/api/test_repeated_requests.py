"""A request with an Idempotency-Key takes effect once, also when it is sent twice at once or after a crash."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import update

from core.services.api_responses import ABANDONED_S, KEPT_S
from core.store.api_tables import ApiResponseRow
from tests.integration.api.api_home import ServedApi, body_of

pytestmark = [pytest.mark.surfaces, pytest.mark.xdist_group("api")]

BODY = {"text": "set server.timeout to 31 in config/app.yaml", "repo": "web"}


async def count(api: ServedApi) -> int:
    return len(body_of(await (await api.client("lee", "read")).get("/tasks"))["tasks"])


async def age(api: ServedApi, seconds: int, **values: object) -> None:
    """Make the stored responses older."""
    statement = update(ApiResponseRow).values(at_ms=ApiResponseRow.at_ms - seconds * 1000, **values)
    await api.app.database.write(lambda tx: tx.session.execute(statement))


async def test_a_repeated_request_gets_the_first_response_and_does_nothing(api):
    client, before = await api.client("ana"), await count(api)
    first = await client.post("/tasks", json=BODY, headers={"Idempotency-Key": "k"})
    again = await client.post("/tasks", json=BODY, headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.content) == (first.status_code, first.content) == (201, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert await count(api) == before + 1


@pytest.mark.parametrize("change", ["body", "path"])
async def test_the_key_of_another_request_is_refused(api, change):
    client, headers = await api.client("ana"), {"Idempotency-Key": "k"}
    assert (await client.post("/tasks", json=BODY, headers=headers)).status_code == 201
    path = "/tasks/1/replies" if change == "path" else "/tasks"
    other = {"text": BODY["text"]} if change == "path" else {**BODY, "priority": 1}
    answer = await client.post(path, json=other, headers=headers)
    assert (answer.status_code, body_of(answer)["code"]) == (422, "key_reused")


async def test_of_requests_at_the_same_time_one_takes_effect(api):
    client, before = await api.client("ana"), await count(api)
    sent = [client.post("/tasks", json=BODY, headers={"Idempotency-Key": "k"}) for _ in range(8)]
    answers = await asyncio.gather(*sent)
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert {body_of(answer)["number"] for answer in answers if answer.status_code == 201} == {before + 1}
    assert await count(api) == before + 1


async def test_after_a_crash_between_the_effect_and_the_response_the_effect_is_found_done(api):
    client, headers = await api.client("ana"), {"Idempotency-Key": "k"}
    first = await client.post("/tasks", json=BODY, headers=headers)
    before = await count(api)
    await age(api, 0, status=None)  # as if the process had died before it stored the response
    assert body_of(await client.post("/tasks", json=BODY, headers=headers))["code"] == "in_progress"
    await age(api, ABANDONED_S + 1)
    again = await client.post("/tasks", json=BODY, headers=headers)
    assert body_of(again)["number"] == body_of(first)["number"]
    assert await count(api) == before


async def test_a_refusal_is_repeated_too_and_a_day_later_forgotten(api):
    client, headers = await api.client("ana"), {"Idempotency-Key": "k"}
    body = {"text": "x", "repo": "nosuch"}
    first = await client.post("/tasks", json=body, headers=headers)
    again = await client.post("/tasks", json=body, headers=headers)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["content-type"] == "application/problem+json"
    await age(api, KEPT_S + 1)
    assert (await client.post("/tasks", json=BODY, headers=headers)).status_code == 201


async def test_a_key_that_is_not_plain_is_refused(api):
    client = await api.client("ana")
    for key in (b"", b"a b", "é".encode(), b"x" * 201):
        answer = await client.post("/tasks", json=BODY, headers=[(b"Idempotency-Key", key)])
        assert (answer.status_code, body_of(answer)["code"]) == (400, "bad_key")
