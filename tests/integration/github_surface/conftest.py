"""A surface that hears what is posted to it, as a Starlette application without a socket."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette

from bot.surfaces.github.surface import GitHubSurface
from bot.surfaces.port import GitHubSurfaceConfig
from tests.fakes.ears import FakeEars
from tests.integration.github_surface import payloads
from tests.integration.github_surface.paper import PaperComments


class Office:
    """A surface, its ears, and the HTTP before it."""

    def __init__(self, **options):
        self.ears = FakeEars()
        self.comments = options.pop("comments", None) or PaperComments()
        self.nudges = []
        repositories = options.pop("repositories", {payloads.HELLO_WORLD: "hello"})
        config = GitHubSurfaceConfig(options.pop("secret", payloads.SECRET), repositories)
        options = {
            "wake_follow_job": self.nudge,
            "name_at_github": "countersign",
            "now": lambda: payloads.NOW,
            **options,
        }
        self.surface = GitHubSurface(config, self.comments, **options)
        app = Starlette(routes=list(self.surface.routes(self.ears)))
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here")

    async def nudge(self, repository, number, sha):
        self.nudges.append((repository, number, sha))

    async def deliver(self, event, payload, **others):
        body = payload if isinstance(payload, bytes) else payloads.encoded(payload)
        sent = {name: value for name, value in payloads.headers(event, body, **others).items() if value is not None}
        return await self.http.post("/hooks/github", content=body, headers=sent)

    @property
    def texts(self):
        return [said.text for said in self.ears.said]


@pytest.fixture
async def office():
    made = Office()
    yield made
    await made.http.aclose()


@pytest.fixture
async def make_office():
    made = []

    def make(**options):
        made.append(Office(**options))
        return made[-1]

    yield make
    for one in made:
        await one.http.aclose()
