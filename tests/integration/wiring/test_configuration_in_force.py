"""The configuration that an opened home works with: all files reload together, and an invalid edit changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.configuration.home import Home
from bot.configuration.live_settings import LiveSettings
from bot.interpret import GrammarInterpreter
from bot.interpret.model_interpreter import ModelInterpreter
from bot.wiring.app import opened
from bot.wiring.worker import build_worker
from core.model.errors import UsageError
from core.model.intent import Unclear
from core.model.turn import Turn
from core.ports import InterpretationContext, LaneOffer
from core.queue.worker import Worker
from tests.homes import CliHome

HOOK = "webhooks:\n  ci: {url: 'https://ci.example.com/x', secret_file: ci.secret}\n"
MODEL = "models:\n  local: {url: 'http://127.0.0.1:9'}\ninterpreter: {models: [local/tiny]}\n"
LACKING_KEY = "models:\n  far: {kind: openai, url: 'https://m.example.com', key_file: none.key}\n"
BROKEN = "zone: Nowhere/Land\n"


def edit(home: CliHome, change: Callable[[str], str]) -> None:
    config = home.root / "countersign.yaml"
    config.write_text(change(config.read_text()))


@pytest.fixture
def settings(home: CliHome) -> LiveSettings:
    return LiveSettings(Home(home.root))


def test_settings_and_configuration_change_together(home, settings):
    before = settings.snapshot()
    assert (settings().zone, settings.config().zone) == ("UTC", "UTC")
    edit(home, lambda text: f"{text}zone: Europe/Zurich\n")
    assert (settings().zone, settings.config().zone) == ("Europe/Zurich", "Europe/Zurich")
    after = settings.snapshot()
    assert after is settings.snapshot()
    assert (before.settings.zone, before.config.zone) == ("UTC", "UTC")


def test_an_invalid_edit_of_any_file_leaves_the_last_valid_snapshot(home, settings):
    good = settings.snapshot()
    lane = home.root / "lanes" / "docs.yaml"
    lane.write_text(lane.read_text() + "nonsense: 1\n")
    assert settings.snapshot() is good
    assert "nonsense" in settings.problems[0]
    lane.write_text(lane.read_text().replace("nonsense: 1\n", ""))
    assert settings.snapshot() is not good
    assert settings.problems == []
    edit(home, lambda text: text + BROKEN)
    assert settings.config().zone == "UTC"


def test_a_missing_secret_is_refused_only_where_the_section_is_required(home, settings):
    settings.snapshot()
    edit(home, lambda text: text + HOOK)
    with pytest.raises(UsageError, match="secret"):
        settings.config().hooks()
    with pytest.raises(UsageError, match="secret"):
        settings.require()
    edit(home, lambda text: text.replace(HOOK, ""))
    settings.require()
    edit(home, lambda text: text + HOOK)
    assert settings.config().hooks() == ()
    assert "secret" in settings.problems[0]


def test_a_section_is_read_once_for_each_snapshot(home, settings):
    secret = home.root / "ci.secret"
    secret.write_text("a-secret-of-many-characters\n")
    edit(home, lambda text: text + HOOK)
    (hook,) = settings.config().hooks()
    secret.write_text("another-secret-of-many-characters\n")
    assert settings.config().hooks() == (hook,)
    edit(home, lambda text: text + "\n")
    assert settings.config().hooks() == (replace(hook, secret="another-secret-of-many-characters"),)


async def test_webhooks_and_trackers_of_an_opened_home_follow_the_file(home):
    async with opened(Home(home.root)) as app:
        assert (app.hooks(), app.ticket_links("ABC-1")) == ((), "")
        (home.root / "ci.secret").write_text("a-secret-of-many-characters\n")
        edit(home, lambda text: f"{text}{HOOK}tickets: {{jira: {{url: 'https://j.example.com', projects: [ABC]}}}}\n")
        assert [hook.name for hook in app.hooks()] == ["ci"]
        assert "https://j.example.com/browse/ABC-1" in app.ticket_links("see ABC-1")


async def test_models_follow_the_file_and_what_is_known_of_endpoints_stays(home):
    async with opened(Home(home.root)) as app:
        executors = app.executors()
        assert isinstance(app.interpreter(), GrammarInterpreter)
        edit(home, lambda text: text + MODEL)
        assert isinstance(app.interpreter(), ModelInterpreter)
        assert app.executors() is not executors
        adapters = app.model_adapters()
        edit(home, lambda text: text + "zone: Europe/Zurich\n")
        assert app.model_adapters() is adapters


async def test_a_running_worker_reads_with_the_interpreter_in_force(home):
    turn = Turn(1, "ana", "terminal", "make it nicer", datetime(2026, 1, 1, tzinfo=UTC), 1)
    context = InterpretationContext("web", (LaneOffer("code", "anything", ("**",), reads=False),))

    async def reason(worker: Worker) -> str:
        answer = await worker.runner.context.interpreter.interpret([turn], context)
        assert isinstance(answer, Unclear)
        return answer.reason

    async with opened(Home(home.root)) as app:
        worker = build_worker(app)
        without_model = await reason(worker)
        edit(home, lambda text: text + MODEL)
        with_model = await reason(worker)
        assert with_model != without_model
        assert with_model.startswith(without_model.rstrip("."))  # then why no model answered


async def test_an_edit_that_breaks_the_models_leaves_the_worker_its_last_ones(home):
    async with opened(Home(home.root)) as app:
        worker = build_worker(app)
        edit(
            home, lambda text: f"{text}models: {{far: {{kind: openai, url: 'https://m.example.com', key_file: no}}}}\n"
        )
        assert set(worker.runner.context.executors) >= {"edit", "command"}
        assert app.config.models().endpoints == {}


async def test_plugins_and_the_app_are_built_once(home):
    async with opened(Home(home.root)) as app:
        plugins = app.plugins()
        edit(home, lambda text: text + "zone: Europe/Zurich\n")
        assert app.config.zone == "Europe/Zurich"
        assert app.plugins() is plugins
        assert app.requests is app.requests
