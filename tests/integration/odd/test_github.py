"""GitHub's deliveries and comments, mutated."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from bot.surfaces.github import rest
from bot.surfaces.github.surface import GitHubSurface
from bot.surfaces.port import GitHubSurfaceConfig
from tests.integration.github_surface import payloads
from tests.integration.github_surface.memory_comments import MemoryComments
from tests.integration.odd.mutations import CANARY, COUNT, Mutator
from tests.integration.odd.strict_inbox import StrictInbox

pytestmark = pytest.mark.surfaces


def _office(inbox: StrictInbox) -> tuple[GitHubSurface, MemoryComments, httpx.AsyncClient]:
    comments = MemoryComments()
    config = GitHubSurfaceConfig(payloads.SECRET, {payloads.HELLO_WORLD: "hello"})
    surface = GitHubSurface(config, comments, name_at_github="countersign", now=lambda: payloads.NOW)
    transport = httpx.ASGITransport(Starlette(routes=list(surface.routes(inbox))))
    return surface, comments, httpx.AsyncClient(transport=transport, base_url="http://here")


def _real() -> list[tuple[str, dict[str, Any]]]:
    """Deliveries as GitHub sends them: comments, line comments and reviews that speak to us, and all others."""
    speaking = [
        ("issue_comment", payloads.commented(f"/task set a to {CANARY}")),
        ("issue_comment", payloads.commented(f"- [x] {CANARY}\n\n@countersign, fix `{CANARY}`", action="edited")),
        ("issue_comment", payloads.commented(f"<div>{CANARY}</div>\n\n/undo 5", on_pull=True)),
        ("pull_request_review_comment", payloads.on_line(f"@countersign {CANARY}", in_reply_to_id=7)),
        ("pull_request_review", payloads.reviewed(f"please {CANARY}", "changes_requested")),
    ]
    others = [one for one in payloads.recorded() if len(payloads.encoded(one[1])) < 20_000]
    return speaking * (len(others) // len(speaking)) + others


async def _deliver(client: httpx.AsyncClient, event: str, payload: Any) -> int:
    body = payloads.encoded(payload)
    answer = await client.post("/hooks/github", content=body, headers=payloads.headers(event, body))
    return answer.status_code


async def test_mutated_deliveries_let_every_good_one_be_heard_and_no_words_into_the_log(capfd):
    mutator, inbox = Mutator(6), StrictInbox()
    _, _, client = _office(inbox)
    everything, good = _real(), payloads.commented("good")
    async with client:
        for n in range(COUNT):
            event, payload = mutator.chance.choice(everything)
            assert await _deliver(client, event, mutator.of(payload)) in (202, 400), event
            good["comment"] |= {"body": f"/task good {n}", "id": 10**9 + n}
            assert await _deliver(client, "issue_comment", good) == 202
    assert {f"/task good {n}" for n in range(COUNT)} <= inbox.texts
    out, err = capfd.readouterr()
    assert CANARY not in out + err


async def test_mutated_comments_that_are_read_again_keep_no_good_one_away(capfd):
    mutator, inbox = Mutator(7), StrictInbox()
    surface, comments, client = _office(inbox)
    plain = payloads.commented(f"/task set a to {CANARY}")["comment"]
    line = payloads.on_line(f"@countersign {CANARY}")["comment"]
    good, found = dict(plain), []
    for n in range(COUNT):
        found += [rest._comment(mutator.of(plain)), rest._line(mutator.of(line))]
        found.append(rest._comment({**good, "body": f"/task good {n}", "id": 10**9 + n}))

    async def recent(_repository: str, _since: object) -> list[Any]:
        return [one for one in found if one is not None]

    comments.recent_comments = recent  # type: ignore[method-assign]
    await surface.catch_up(inbox, payloads.NOW - timedelta(hours=1))
    await client.aclose()
    assert {f"/task good {n}" for n in range(COUNT)} <= inbox.texts
    out, err = capfd.readouterr()
    assert CANARY not in out + err
