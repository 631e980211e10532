"""Tokens and stored responses of the API on both databases."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from core.model.errors import ConflictError
from core.services.api_responses import ApiResponses, KeyReusedError, StoredResponse
from core.services.api_tokens import ApiTokens, WantedToken
from tests.builders import LEE

WANTED = WantedToken(name="x", person="ana", scopes=("read",), repositories=("web",), expires_at=None)
ANSWER = StoredResponse(201, {"content-type": "application/json"}, "{}")


@pytest.fixture
def tokens(services) -> ApiTokens:
    return ApiTokens(services.database, lambda: services.settings)


async def test_a_token_is_found_by_its_secret_alone_and_its_use_is_recorded(tokens):
    created = await tokens.create(WANTED, LEE)
    found = await tokens.authenticate(str(created.written))
    assert found is not None
    assert (found.id, found.person, found.repositories.names) == (created.token.id, "ana", ("web",))
    (listed,) = await tokens.list()
    assert listed.last_used_at is not None
    other = replace(created.written, secret=created.written.secret[::-1])
    assert await tokens.authenticate(str(other)) is None
    assert await tokens.is_valid(found)
    await tokens.revoke(found.id, LEE)
    assert await tokens.authenticate(str(created.written)) is None
    assert not await tokens.is_valid(found)


async def test_of_many_that_begin_at_once_one_goes_on_and_all_get_its_response(tokens, database):
    token = (await tokens.create(WANTED, LEE)).token.id
    responses = ApiResponses(database)
    begun = await asyncio.gather(*(responses.begin(token, "k", "a") for _ in range(12)), return_exceptions=True)
    assert begun.count(None) == 1
    assert sum(isinstance(each, ConflictError) for each in begun) == 11
    await responses.finish(token, "k", ANSWER)
    assert await responses.begin(token, "k", "a") == ANSWER
    with pytest.raises(KeyReusedError):
        await responses.begin(token, "k", "b")
    await responses.forget(token, "k")
    assert await responses.begin(token, "k", "b") is None
