"""A home with two repositories and its API, served in this process on a socket of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from bot.configuration.home import Home
from bot.mcp.http import mcp_routes
from bot.web.api import api_routes
from bot.web.api.rates import ApiQuotas
from bot.web.server import WebServer
from bot.wiring.app import App, opened
from core.model.api_token import ApiToken
from core.services.api_tokens import WantedToken
from core.services.requests import NewRequest
from tests.builders import ANA, LEE
from tests.homes import FILES, CliHome, make_repository

WITHIN_S = 60
MARK = "zebrafinch"
"""A word that is in everything of the repository `hidden`, and nowhere else."""
ASK = "set server.timeout to 30 in config/app.yaml"
EVERYTHING = ("read", "request", "approve", "operate")


def add_hidden_repository(home: CliHome) -> None:
    """Configure a second repository, `hidden`, whose files and tasks have `MARK` in them."""
    bare = home.folder / "hidden.git"
    make_repository(bare, {**FILES, f"config/{MARK}.yaml": f"{MARK}: 1\n"})
    config = home.root / "countersign.yaml"
    added = f'repositories:\n  hidden: {{url: "{bare}", branch: "main"}}\n'
    config.write_text(config.read_text().replace("repositories:\n", added, 1))
    asked = home.call("ask", f"set {MARK} to 2 in config/{MARK}.yaml", "--repo", "hidden", "--as", "ana", "--wait")
    assert asked.code == 0, asked


def make_api_home(home: CliHome) -> None:
    """In a home whose #1 is staged in `web`: #2 is staged in `hidden`, #3 asks which repository is meant."""
    add_hidden_repository(home)
    asked = home.call("ask", ASK, "--as", "ana", "--wait", "--json")
    assert asked.json()["state"] == "asking", asked
    said = home.call(
        "every", "weekday 09:00", f"set {MARK} to 3 in config/{MARK}.yaml", "--repo", "hidden", "--as", "ana"
    )
    assert said.code == 0, said


@dataclass
class ServedApi:
    """The API of an opened home, and clients with tokens."""

    app: App
    web: WebServer
    folder: Path
    _clients: list[httpx.AsyncClient] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where the server listens."""
        return f"http://127.0.0.1:{self.web.port}"

    async def token(self, person: str | None = "lee", *scopes: str, **more: Any) -> tuple[ApiToken, str]:
        """A new token, and how it is written."""
        given = {"name": "test", "repositories": None, "expires_at": None, **more}
        wanted = WantedToken(person=person, scopes=scopes or EVERYTHING, **given)
        created = await self.app.api_tokens.create(wanted, LEE)
        return created.token, str(created.written)

    async def client(self, person: str | None = "lee", *scopes: str, **more: Any) -> httpx.AsyncClient:
        """A client with a new token; closed at the end."""
        _, written = await self.token(person, *scopes, **more)
        return self.bare_client({"Authorization": f"Bearer {written}"})

    def bare_client(self, headers: Mapping[str, str] | None = None) -> httpx.AsyncClient:
        """A client with these headers."""
        made = httpx.AsyncClient(base_url=f"{self.url}/api/v1", headers=dict(headers or {}), timeout=WITHIN_S)
        self._clients.append(made)
        return made

    async def ask(self, text: str = ASK, repo: str = "web") -> int:
        """A new task of ana's."""
        return await self.app.requests.ask(NewRequest(text=text, actor=ANA, repo=repo))

    async def close(self) -> None:
        """Close all clients."""
        for each in self._clients:
            await each.aclose()


@asynccontextmanager
async def served_api(home: CliHome, quotas: ApiQuotas | None = None) -> AsyncIterator[ServedApi]:
    """Serve the API and the MCP server of a home during the block; no worker runs."""
    async with opened(Home(home.root)) as app:
        web = WebServer([*api_routes(app, quotas), *mcp_routes(app)], "127.0.0.1", 0)
        running = asyncio.create_task(web.run())
        async with asyncio.timeout(WITHIN_S):
            await web.started.wait()
        api = ServedApi(app, web, home.folder)
        try:
            yield api
        finally:
            await api.close()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def body_of(response: httpx.Response) -> Any:
    """The JSON of a response."""
    return json.loads(response.content)
