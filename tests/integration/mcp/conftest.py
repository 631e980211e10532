"""The official client, connected by each transport to one served home."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from tests import canary
from tests.homes import SCRIPT, CliHome, clean_environment, copy_home
from tests.integration.api.api_home import ServedApi, make_api_home, served_api


@pytest.fixture(scope="session")
def template_with_two_repositories(template_of_staged: CliHome, tmp_path_factory: pytest.TempPathFactory) -> CliHome:
    """#1 is staged in `web`, #2 in `hidden`, #3 asks for its repository."""
    made = copy_home(template_of_staged, tmp_path_factory.mktemp("mcp"))
    make_api_home(made)
    return made


@pytest.fixture
def two_repositories(template_with_two_repositories: CliHome, folder: Path) -> Iterator[CliHome]:
    made = copy_home(template_with_two_repositories, folder)
    yield made
    canary.home_over(made.folder)


@pytest_asyncio.fixture
async def served(two_repositories: CliHome) -> AsyncIterator[ServedApi]:
    async with served_api(two_repositories) as api:
        yield api


@asynccontextmanager
async def over_http(
    served: ServedApi, person: str = "ana", *scopes: str, mode: str = "auto", **more: Any
) -> AsyncIterator[Client]:
    """A client with a new token; with the mode `legacy` it begins with the older handshake."""
    _, written = await served.token(person, *(scopes or ("read", "request")), **more)
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {written}"}, timeout=60) as http,
        Client(streamable_http_client(f"{served.url}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client


@asynccontextmanager
async def over_stdio(
    served: ServedApi, person: str = "ana", *_: str, mode: str = "auto", **__: Any
) -> AsyncIterator[Client]:
    """A client that starts `countersign mcp` as a person."""
    home = str(served.folder / "home")
    command = StdioServerParameters(
        command=str(SCRIPT), args=["--home", home, "mcp", "--as", person], env=clean_environment()
    )
    async with Client(command, mode=mode) as client:
        yield client


@pytest.fixture(params=[over_http, over_stdio], ids=["http", "stdio"])
def connect(request: pytest.FixtureRequest) -> Any:
    """How a client connects."""
    return request.param
