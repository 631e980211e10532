"""A surface that receives what is posted to it, as a Starlette application without a socket."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette

from bot.surfaces.github.surface import GitHubSurface
from bot.surfaces.port import GitHubSurfaceConfig
from tests.fakes.inbox import FakeInbox
from tests.integration.github_surface import payloads
from tests.integration.github_surface.memory_comments import MemoryComments


class SurfaceHarness:
    """A surface, its inbox, and an HTTP client for it."""

    def __init__(self, **options):
        self.inbox = FakeInbox()
        self.comments = options.pop("comments", None) or MemoryComments()
        self.wakes = []
        repositories = options.pop("repositories", {payloads.HELLO_WORLD: "hello"})
        config = GitHubSurfaceConfig(options.pop("secret", payloads.SECRET), repositories)
        options = {
            "wake_follow_job": self.wake,
            "name_at_github": "countersign",
            "now": lambda: payloads.NOW,
            **options,
        }
        self.surface = GitHubSurface(config, self.comments, **options)
        app = Starlette(routes=list(self.surface.routes(self.inbox)))
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here")

    async def wake(self, repository, number, sha):
        self.wakes.append((repository, number, sha))

    async def deliver(self, event, payload, **others):
        body = payload if isinstance(payload, bytes) else payloads.encoded(payload)
        sent = {name: value for name, value in payloads.headers(event, body, **others).items() if value is not None}
        return await self.http.post("/hooks/github", content=body, headers=sent)

    @property
    def texts(self):
        return [said.text for said in self.inbox.messages]


@pytest.fixture
async def harness():
    made = SurfaceHarness()
    yield made
    await made.http.aclose()


@pytest.fixture
async def make_harness():
    made = []

    def make(**options):
        made.append(SurfaceHarness(**options))
        return made[-1]

    yield make
    for one in made:
        await one.http.aclose()
