"""Fixtures of the GitHub tests: a fake GitHub, our client, forge and git store of one repository there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from core.model.task import PullRequest
from core.ports.forge import Forge, PullRequestDraft
from core.ports.repository import Commit, RepositorySpec
from lanes.forge.github import GitHubAccess
from lanes.forge.github.client import GitHubClient
from lanes.forge.github.forge import GitHubForge
from lanes.repository import GitRepository
from tests.fakes.github import FakeGitHub
from tests.fakes.github.fixtures import github

__all__ = ["github"]

AT = datetime(2026, 5, 4, 12, tzinfo=UTC)
BRANCH = "countersign/1-timeout"
NAME = "acme/web"
FILES = {"README.md": "# Web\n", "config/app.yaml": "timeout: 10\n", "src/a.py": "print(1)\n"}
MakeClient = Callable[..., GitHubClient]


@pytest.fixture
def hub(github: FakeGitHub) -> FakeGitHub:
    """A GitHub with one private repository, where the bot may write, lee may too, and eve may read."""
    github.repository(NAME, FILES)
    for login, role in {"bot": "write", "lee": "maintain", "eve": "read"}.items():
        github.allow(NAME, login, role)
    return github


@pytest.fixture
def make_client(hub: FakeGitHub) -> Iterator[MakeClient]:
    """Clients that are closed in the end; by default with a token of the bot's."""
    made = []

    def make(access: GitHubAccess | None = None, **how: Any) -> GitHubClient:
        chosen = access or GitHubAccess(hub.url, token=hub.token("bot"))
        made.append(GitHubClient(chosen, **{"between_changes_s": 0, **how}))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(make_client: MakeClient) -> GitHubClient:
    return make_client()


@pytest.fixture
def forge(client: GitHubClient) -> GitHubForge:
    return GitHubForge(client)


def store_of(hub: FakeGitHub, client: GitHubClient, state: Path, *, pinned: bool = True) -> GitRepository:
    """Our git store of the repository, let in by `client`."""
    number = hub.repo(NAME).id if pinned else None
    spec = RepositorySpec("web", "github:web", hub.git_url(NAME), "main", "github", number)
    return GitRepository(spec, state / "git", client.credentials)


@pytest.fixture
def hub_repo(hub: FakeGitHub, client: GitHubClient, tmp_path: Path) -> GitRepository:
    return store_of(hub, client, tmp_path / "state")


async def commit(
    hub_repo: GitRepository, text: str = "print(9)\n", path: str = "src/a.py", parent: str | None = None
) -> str:
    """A commit that changes one file of main."""
    base = parent or await hub_repo.fetch_base()
    tree = await hub_repo.write_tree(await hub_repo.tree_of(base), {path: text.encode()}, [], {})
    return await hub_repo.write_commit(Commit(tree, base, "change", AT))


def proposal(head: str, **others: Any) -> PullRequestDraft:
    """A proposal of our branch."""
    given = {
        "number": 1,
        "branch": BRANCH,
        "head": head,
        "into": "main",
        "title": "Raise it",
        "body": "b",
        "revision": 1,
    }
    return PullRequestDraft(**{**given, "digest": "d" * 64, **others})


async def published(forge: Forge, hub_repo: GitRepository, text: str = "print(9)\n", **others: Any) -> PullRequest:
    """A branch that was pushed and its pull request."""
    head = await commit(hub_repo, text)
    await forge.push(hub_repo, BRANCH, head, None)
    return await forge.open(hub_repo, proposal(head, **others))
