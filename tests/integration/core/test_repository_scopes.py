"""The repository that a task is settled on is inside the scope of every place that has a say in it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.model.errors import NotFoundError, RefusedError
from core.model.lifecycle import State
from core.model.place import EVERY_REPOSITORY, RepositoryScope
from core.model.turn import Actor, MessageOrigin, TurnDraft
from core.services.requests import NewRequest
from tests.builders import ANA, BO
from tests.worker_harness import WorkerHarness

pytestmark = pytest.mark.surfaces

TEXT = "config/app.yaml = a: 1"


def ana(*names: str) -> Actor:
    """Ana in a channel that is for the repositories `names`."""
    return Actor("ana", "telegram", scope=RepositoryScope(names))


WEB_DOCS = ana("web", "docs")


@pytest.fixture
def harness(harness: WorkerHarness) -> WorkerHarness:
    """Services and workers of a home with four repositories."""
    web = harness.settings.repositories["web"]
    names = ("api", "docs", "infra", "web")
    harness.configure(repositories={name: replace(web, name=name, id=f"repo-{name}") for name in names})
    return harness


async def asked(harness: WorkerHarness, actor: Actor = WEB_DOCS) -> int:
    """A request that names no repository and waits for the answer."""
    number = await harness.ask(TEXT, actor=actor)
    await harness.drain()
    assert await harness.state(number) is State.ASKING
    return number


async def options(harness: WorkerHarness, number: int) -> tuple[str, ...]:
    question = (await harness.task(number)).question
    assert question is not None
    return question.options


async def test_only_repositories_of_the_channel_are_offered(harness):
    assert await options(harness, await asked(harness)) == ("docs", "web")
    assert await options(harness, await asked(harness, ANA)) == ("api", "docs", "infra", "web")


async def test_a_repository_that_left_the_configuration_is_not_offered(harness):
    number = await harness.ask(TEXT, actor=ana("web", "docs", "infra"))
    known = dict(harness.settings.repositories)
    known.pop("infra")
    harness.configure(repositories=known)
    await harness.drain()
    assert await options(harness, number) == ("docs", "web")


async def test_a_channel_whose_repositories_all_left_the_configuration_is_told_so(harness):
    number = await harness.ask(TEXT, actor=WEB_DOCS)
    harness.configure(repositories={"api": harness.settings.repositories["api"]})
    await harness.drain()
    task = await harness.task(number)
    assert (task.state, task.repo) == (State.FAILED, None)
    assert task.error is not None
    assert task.error.code == "not_here"
    with pytest.raises(RefusedError, match="none of the repositories of this channel"):
        await harness.requests.ask(NewRequest(text=TEXT, actor=WEB_DOCS))


async def test_the_only_configured_repository_of_a_channel_is_not_asked_for(harness):
    web, api = (harness.settings.repositories[name] for name in ("web", "api"))
    harness.configure(repositories={"web": web, "api": api})
    number = await harness.ask(TEXT, actor=WEB_DOCS)
    assert (await harness.task(number)).repo == "web"


@pytest.mark.parametrize("answer", ["api", "API", " api. "])
@pytest.mark.parametrize("actor", [WEB_DOCS, ANA, ana("api", "web")], ids=["there", "privately", "elsewhere"])
async def test_an_answer_outside_the_scope_of_the_request_is_refused_wherever_it_is_given(harness, actor, answer):
    number = await asked(harness)
    before = await harness.kinds(number)
    with pytest.raises(RefusedError, match="api is not a repository of") as caught:
        await harness.requests.reply(number, answer, actor)
    assert caught.value.problem.code == "not_here"
    assert "docs, web" in str(caught.value.problem.mend) or "web, docs" in str(caught.value.problem.mend)
    assert await harness.kinds(number) == before, "nothing is recorded"
    assert (await harness.task(number)).repo is None


async def test_an_answer_outside_the_scope_of_the_one_who_answers_is_refused(harness):
    """The request was made in private, where every repository is offered."""
    number = await asked(harness, ANA)
    with pytest.raises(RefusedError, match="infra is not a repository of this channel"):
        await harness.requests.reply(number, "infra", WEB_DOCS)
    assert (await harness.task(number)).repo is None
    await harness.requests.reply(number, "docs", WEB_DOCS)
    assert (await harness.task(number)).repo == "docs"


async def test_a_task_without_a_repository_is_not_found_in_a_channel_that_shares_none_with_it(harness):
    number = await asked(harness)
    with pytest.raises(NotFoundError) as caught:
        await harness.requests.reply(number, "api", ana("api", "infra"))
    assert caught.value.problem.code == "not_here"
    with pytest.raises(NotFoundError):
        await harness.requests.ask(NewRequest(text=TEXT, actor=ana("api", "infra"), after=number))
    assert await harness.state(number) is State.ASKING


@pytest.mark.parametrize("actor", [WEB_DOCS, ANA, ana("web", "api")], ids=["there", "privately", "elsewhere"])
async def test_an_answer_inside_every_scope_settles_the_repository(harness, actor):
    number = await asked(harness)
    await harness.requests.reply(number, "Web.", actor)
    await harness.drain()
    task = await harness.task(number)
    assert (task.repo, task.state) == ("web", State.STAGED)


async def test_other_words_do_not_widen_the_scope(harness):
    """A text in other words, or a fresh start, from a place for every repository gets the same question."""
    number = await asked(harness)
    for text in ("config/app.yaml = a: 2", "start over: config/app.yaml = a: 3"):
        await harness.requests.reply(number, text, ANA)
        await harness.drain()
        assert await options(harness, number) == ("docs", "web")


async def test_an_undo_is_refused_outside_the_scope_and_stays_in_the_repository(harness):
    number = await asked(harness)
    await harness.requests.reply(number, "web", WEB_DOCS)
    with pytest.raises(NotFoundError):
        await harness.requests.undo(number, ana("docs", "api"))


def test_a_reply_that_waits_for_a_model_keeps_its_scope():
    draft = TurnDraft("api", WEB_DOCS, "d1", MessageOrigin())
    assert TurnDraft.from_json(draft.to_json()).actor.scope == WEB_DOCS.scope
    older = {key: value for key, value in TurnDraft("api", BO).to_json().items() if key != "scope"}
    assert TurnDraft.from_json(older).actor.scope == EVERY_REPOSITORY
