"""Through the wire: a request becomes a pull request at GitHub, comments make the next revision, green merges."""

from __future__ import annotations

import pytest

from bot.doors import surfaces_of
from bot.surfaces.port import Place
from core.lifecycle import State
from tests.e2e.surfaces.hub import REPO, SECRET, hub_home
from tests.fakes.github import FakeGitHub
from tests.fakes.github.fixtures import github  # noqa: F401 - a fixture
from tests.fakes.surface import MemorySurface
from tests.town import ASK, Town, town

pytestmark = pytest.mark.surfaces

GROUP = Place("telegram", "-100", None)
AUTO = """
      merge: {auto: true, method: squash, checks: [{name: test, app: 15368}]}"""


async def state(place: Town, number: int = 1) -> State:
    return (await place.app.document(number)).task.state


@pytest.fixture
def home(tmp_path, github, monkeypatch):  # noqa: F811 - the fixture
    return hub_home(tmp_path, github, monkeypatch)


async def test_a_request_in_chat_becomes_a_pull_request_whose_tree_is_the_approved_tree(home, github):  # noqa: F811
    async with town(home, {"telegram": MemorySurface("telegram")}) as place:
        card = await place.staged(GROUP)
        await place.clicks("lee", card, "Approve")
        await place.card(1, "published")
        pull = github.pull(REPO, 1)
        document = await place.app.document(1)
        tree = github.git(REPO).run("rev-parse", f"{pull.sha}^{{tree}}").decode().strip()
        assert tree == document.task.staged.tree
        await place.until(lambda: statuses(github, pull.sha), "the status")
        assert statuses(github, pull.sha)["countersign"] == "success"


def statuses(hub: FakeGitHub, sha: str) -> dict[str, str]:
    return {s.context: s.state for s in hub.repo(REPO).statuses if s.sha == sha}
