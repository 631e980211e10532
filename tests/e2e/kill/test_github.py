"""kill -9 around every effect at GitHub: one branch, one pull request, one merge, and the next worker goes on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.wiring.app import App
from core.model.event import broken_link
from core.model.lifecycle import State
from core.services.requests import NewRequest
from core.store import events
from tests.e2e.kill.test_points import AT_GITHUB
from tests.e2e.kill.trial import ANA, LEE, TEXT, TIMING, KillTrial, look, until
from tests.e2e.surfaces.hub import REPO, hub_home, tree_of
from tests.fakes.github import FakeGitHub
from tests.fakes.github.fixtures import github

__all__ = ["github"]

pytestmark = [pytest.mark.queue, pytest.mark.surfaces]

EFFECTS = ("publish.pushed", "publish.opened", "publish.signed", "merge.forge_merged")
BY_ITSELF = "merge: {auto: true}"
WAITS = "merge: {auto: true, checks: [{name: never}]}"
ENDS = {"merged": State.MERGED, "closed": State.CLOSED, "merge_asked": State.MERGED, "forge_merged": State.MERGED}


@pytest.fixture
def trial(tmp_path: Path, github: FakeGitHub, monkeypatch: pytest.MonkeyPatch) -> Iterator[KillTrial]:
    """A home at GitHub with short leases."""
    home = hub_home(tmp_path, github, monkeypatch)
    config = home.root / "countersign.yaml"
    config.write_text(re.sub(r"worker: \{.*\}\n", TIMING, config.read_text()))
    made = KillTrial(home)
    yield made
    made.end()


def set_merging(trial: KillTrial, words: str) -> None:
    policy = trial.home.root / "policy.yaml"
    policy.write_text(re.sub(r"merge: \{.*\}", words, policy.read_text()))


async def staged_and_approved(trial: KillTrial, app: App) -> None:
    await app.requests.ask(NewRequest(text=TEXT, actor=ANA, repo="web"))
    assert await trial.over(trial.begin("drain")) == 0
    task, _ = await look(app)
    assert task.staged is not None
    await app.approvals.approve(1, task.staged.digest, LEE)


async def published(trial: KillTrial, app: App) -> None:
    await staged_and_approved(trial, app)
    assert await trial.over(trial.begin("drain")) == 0
    assert (await look(app))[0].state is State.PUBLISHED


async def prepare(point: str, trial: KillTrial, app: App, hub: FakeGitHub) -> None:
    """Bring the home to where the next worker comes to `point`."""
    what = point.rsplit(".", maxsplit=1)[-1].removeprefix("before_")
    if what in ("merge_asked", "forge_merged"):
        set_merging(trial, BY_ITSELF)
        await staged_and_approved(trial, app)
    elif what == "followed":
        set_merging(trial, WAITS)
        await staged_and_approved(trial, app)
    elif what in ("merged", "closed", "failed"):
        await published(trial, app)
        {"merged": hub.merge_by_hand, "closed": hub.close_by_hand}.get(what, lambda *_: hub.remove(REPO))(
            REPO, 1, "max"
        )  # type: ignore[operator]
        await due(app)
    else:
        await staged_and_approved(trial, app)


async def due(app: App) -> None:
    """Let the pull request be looked at now."""
    from core.store import jobs

    async def work(tx) -> None:
        await jobs.wake_follow_job(tx, 1)

    await app.database.write(work)


@pytest.mark.parametrize("point", [*EFFECTS, *AT_GITHUB])
async def test_the_next_worker_goes_on_and_nothing_is_there_twice(point, trial, github):
    what = point.rsplit(".", maxsplit=1)[-1].removeprefix("before_")
    async with trial.opened_app() as app:
        await prepare(point, trial, app, github)
        await trial.fell(trial.begin("worker", at=point))
        heir = trial.begin("worker", steady=True)
        goal = ENDS.get(what, State.PUBLISHED)

        async def there() -> bool:
            task, busy = await look(app)
            said = task.pull_request.checks if task.pull_request else ""
            told = {"followed": bool(said), "failed": task.error is not None}.get(what, True)
            return task.state is goal and not busy and told

        await until(there, f"#1 is {goal}", trial)
        await trial.dismiss(heir)
        task, _ = await look(app)
        chain = await app.database.read(lambda tx: events.chain_of(tx, 1))
        assert broken_link(chain) is None
        kinds = [event.kind for event in chain]
        assert all(kinds.count(f"task.{fact}") <= 1 for fact in ("published", "merged", "closed", "merge_asked"))
    if what == "failed":
        return
    assert len(github.repo(REPO).pulls) == 1
    pull = github.pull(REPO, 1)
    assert task.pull_request is not None
    assert task.staged is not None
    assert pull.sha == task.pull_request.head
    assert tree_of(github, pull.sha) == task.staged.tree
    merges = github.git(REPO).run("rev-list", "--count", "--merges", "main").decode().strip()
    assert merges == ("1" if goal is State.MERGED else "0")
