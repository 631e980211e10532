"""What countersign.yaml says of webhooks and tickets, and what it may not."""

from __future__ import annotations

import pytest
from pydantic import Field

from bot.integrations.webhooks.settings import RawHook, RawTickets, hooks_of, trackers_of
from core.model.errors import ConfigError, UsageError
from core.model.team import ONE_TEAM
from core.strict_yaml import StrictModel, load, validate

pytestmark = pytest.mark.surfaces


class Page(StrictModel):  # as countersign.yaml's own model has them
    webhooks: dict[str, RawHook] = Field(default_factory=dict)
    tickets: RawTickets = RawTickets()


@pytest.fixture
def read(tmp_path, monkeypatch):
    monkeypatch.setenv("COUNTERSIGN_WEBHOOK_MY_CI_SECRET", "a-secret-of-many-characters")
    (tmp_path / "jira.token").write_text("t0ken\n")

    def reading(text):
        file = tmp_path / "countersign.yaml"
        file.write_text(text)
        document = load(file)
        page = validate(document, Page)
        return hooks_of(document, page.webhooks, ONE_TEAM, tmp_path), trackers_of(document, page.tickets, tmp_path)

    return reading


def test_hooks_and_trackers_are_read_and_their_secrets_kept_out_of_sight(read):
    (hook,), trackers = read(
        "webhooks:\n  my-ci: {url: https://ci.example/x, events: [task.staged, task.*]}\n"
        "tickets:\n  jira: {url: https://a.example, projects: [ABC], token_file: jira.token}\n"
        "  linear: {workspace: acme, teams: ENG}\n"
    )
    assert (hook.name, hook.events, hook.secret) == ("my-ci", ("task.staged", "task.*"), "a-secret-of-many-characters")
    assert (trackers.can_comment("jira"), trackers.can_comment("linear")) == (True, False)
    assert trackers.tracker_for("ENG") == "linear"
    assert "secret" not in repr(hook).replace("my-ci", "")
    assert "t0ken" not in repr(trackers)


@pytest.mark.parametrize(
    "text",
    [
        "webhooks: {my-ci: {url: http://ci.example}}",
        "webhooks: {my-ci: {url: ftp://ci.example}}",
        "webhooks: {my-ci: {url: 'https://a:hunter2@ci.example'}}",
        "webhooks: {my-ci: {url: 'https://[::1'}}",
        "webhooks: {my-ci: {url: 'https://ci.example:x'}}",
        "webhooks: {'my ci': {url: https://ci.example}}",
        "webhooks: {my-ci: {url: https://ci.example, events: []}}",
        "webhooks: {my-ci: {url: https://ci.example, events: ['TASK STAGED']}}",
        "webhooks: {my-ci: {url: https://ci.example, sekret: x}}",
        "webhooks: {other: {url: https://ci.example}}",
        "tickets: {jira: {url: https://a.example, projects: [abc]}}",
        "tickets: {jira: {url: http://a.example, projects: [ABC]}}",
        "tickets: {linear: {workspace: 'a/b', teams: [ENG]}}",
    ],
)
def test_what_cannot_be_is_refused_where_it_is_written(read, text):
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert caught.value.line == 1
    assert "hunter2" not in str(caught.value)


def test_a_short_or_empty_secret_is_refused(read, monkeypatch):
    for secret in ("short", " "):
        monkeypatch.setenv("COUNTERSIGN_WEBHOOK_MY_CI_SECRET", secret)
        with pytest.raises(UsageError):
            read("webhooks: {my-ci: {url: https://ci.example}}")


def test_a_secret_in_the_form_of_standard_webhooks_must_be_one(read, monkeypatch):
    for secret in ("whsec_not*base64*at*all****", "whsec_c2hvcnRzaG9ydGE=", f"whsec_{'A' * 120}"):
        monkeypatch.setenv("COUNTERSIGN_WEBHOOK_MY_CI_SECRET", secret)
        with pytest.raises(ConfigError) as caught:
            read("webhooks: {my-ci: {url: https://ci.example}}")
        assert "openssl rand -base64 32" in str(caught.value)
        assert secret.removeprefix("whsec_") not in str(caught.value)
