"""The parts of countersign.yaml about surfaces: what is refused, where, and what mends it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.configuration.config import Config, load_config
from core.model.errors import ConfigError, UsageError

pytestmark = pytest.mark.surfaces

TOKEN = "123456789:AAE-made-up-token-of-a-test-bot"
HEAD = """version: 1
repositories:
  web: {url: /srv/web.git}
  site: {url: "https://github.com/acme/site.git", forge: github, github_id: 7}
people:
  ana: {roles: [member], identities: {telegram: "101", slack: T1/U101, github: "9101"}}
"""
GITHUB = "github: {token_file: token}\n"


@pytest.fixture(autouse=True)
def _no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        *("TELEGRAM_TOKEN", "TELEGRAM_WEBHOOK_SECRET", "SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET"),
        *("GITHUB_TOKEN", "GITHUB_APP_KEY", "GITHUB_WEBHOOK_SECRET"),
    ):
        monkeypatch.delenv(f"COUNTERSIGN_{name}", raising=False)


@pytest.fixture
def config(tmp_path: Path):
    """Loads a countersign.yaml with these lines at its end."""

    def load(more: str = "", head: str = HEAD + GITHUB, **files: str) -> Config:
        (tmp_path / "token").write_text("ghp_made_up\n")
        for name, content in files.items():
            (tmp_path / name).write_text(content)
        path = tmp_path / "countersign.yaml"
        path.write_text(head.replace("T1/U101", '"T1AB/U101"') + more)
        loaded = load_config(path)
        loaded.surfaces()
        return loaded

    return load


def test_everything_configured_is_read_and_no_secret_is_shown(config, monkeypatch):
    monkeypatch.setenv("COUNTERSIGN_SLACK_BOT_TOKEN", "xoxb-made-up")
    monkeypatch.setenv("COUNTERSIGN_SLACK_APP_TOKEN", "xapp-made-up")
    monkeypatch.setenv("COUNTERSIGN_GITHUB_WEBHOOK_SECRET", "wh-made-up")
    found = config(
        'telegram: {token_file: tg, chats: {"-1001": {repositories: [web]}}}\n'
        "slack: {team: T1AB, channels: {C1: {repositories: [web, site]}}}\n"
        "zone: Europe/Zurich\n",
        tg=TOKEN,
    )
    surfaces = found.surfaces()
    assert surfaces.telegram.chats == {"-1001": ("web",)}
    assert surfaces.slack.channels == {"C1": ("web", "site")}
    assert surfaces.github.repositories == {"7": "site"}
    assert surfaces.github_access.token == "ghp_made_up"
    assert found.repositories["site"].forge_id == 7
    assert found.zone == "Europe/Zurich"
    shown = repr(surfaces)
    for hidden in (TOKEN, "xoxb-made-up", "xapp-made-up", "wh-made-up", "ghp_made_up"):
        assert hidden not in shown


def test_nothing_configured_is_nothing_open(config):
    found = config(head=HEAD.split("  site:", maxsplit=1)[0] + HEAD[HEAD.index("people:") :])
    surfaces = found.surfaces()
    assert (surfaces.telegram, surfaces.slack, surfaces.github) == (None, None, None)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("telegram: {}\n", "has no token"),
        ("telegram: {token_file: bad}\n", "not have a valid bot token"),
        (
            "telegram: {token_file: tg, webhook: {url: 'https://x'}}\n",
            "has no secret, so anyone could send updates to it",
        ),
        ("telegram: {token_file: tg, chats: {'@group': {}}}\n", "is not a group id"),
        ("telegram: {token_file: tg, chats: {'123': {}}}\n", "is not a group id"),
        ("telegram: {token_file: tg, chats: {'-1': {repositories: [nope]}}}\n", "no repository is called 'nope'"),
        ("telegram: {token_file: tg, tokn: x}\n", "tokn"),
        ("slack: {team: T1}\n", "has no bot token"),
        ("slack: {team: acme, bot_token_file: tg}\n", "team"),
        ("slack: {team: T1, bot_token_file: tg}\n", "neither an app token nor a signing secret"),
        ("zone: Mars/Olympus\n", "is not a time zone"),
    ],
)
def test_what_cannot_work_is_refused_by_line_and_key(config, more, told):
    with pytest.raises(ConfigError) as caught:
        config(more, tg=TOKEN, bad="not a token")
    assert told in str(caught.value)
    assert "countersign.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('telegram: "101"', 'telegram: "1087968824"', "many people share"),
        ('telegram: "101"', 'telegram: "777000"', "many people share"),
        ('telegram: "101"', 'telegram: "@ana"', "is not an id on telegram"),
        ('github: "9101"', 'github: "ana"', "is not an id on github"),
        ("slack: T1/U101", 'slack: "U101"', "is not an id on slack"),
        (", github_id: 7", "", "is missing"),
        ("forge: github, github_id: 7", "forge: local", "needs a git repository on this host"),
        ("https://github.com/acme/site.git", "/srv/site.git", "is a folder"),
    ],
)
def test_an_identity_or_repository_that_could_be_anothers_is_refused(config, old, new, told):
    assert old in HEAD
    with pytest.raises(ConfigError) as caught:
        config(head=HEAD.replace(old, new) + GITHUB)
    assert told in str(caught.value)


@pytest.mark.parametrize("empty", ["", "  \n"])
def test_an_empty_secret_refuses_to_start(config, monkeypatch, empty):
    monkeypatch.setenv("COUNTERSIGN_GITHUB_WEBHOOK_SECRET", empty)
    with pytest.raises(UsageError) as caught:
        config()
    assert "is empty" in str(caught.value)


def test_a_secret_file_that_is_gone_is_named(config):
    with pytest.raises(UsageError) as caught:
        config("telegram: {token_file: nowhere}\n")
    assert "nowhere" in str(caught.value)


def test_github_without_a_way_in_is_refused(config):
    with pytest.raises(ConfigError) as caught:
        config(head=HEAD + "github: {}\n")
    assert "neither an app nor a token" in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        config(head=HEAD + "github: {app: {id: 1}}\n")
    assert "no private key" in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        config(head=HEAD)
    assert "`github:` is not configured" in str(caught.value)


def test_a_command_that_needs_no_secret_runs_without_any(tmp_path):
    path = tmp_path / "countersign.yaml"
    path.write_text(HEAD.replace("T1/U101", '"T1AB/U101"') + "github: {}\ntelegram: {}\nslack: {team: T1}\n")
    assert load_config(path).repositories["site"].forge == "github"
