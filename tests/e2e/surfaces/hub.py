"""A home whose repository lives at the fake GitHub, made as a person would make it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.fakes.github import FakeGitHub
from tests.homes import FILES, PEOPLE, CliHome
from tests.served_home import IDS, ServedHome, introduce

REPO = "acme/web"
SECRET = "a-long-made-up-webhook-secret-of-tests"


def hub_home(folder: Path, github: FakeGitHub, monkeypatch: pytest.MonkeyPatch, more: str = "") -> CliHome:
    """`countersign init --forge github`, then everybody's identities; the bot's account is `countersign-bot`."""
    github.repository(REPO, FILES)
    github.allow(REPO, "countersign-bot", "write")
    for person in ("ana", "bo", "lee", "max"):
        github.allow(REPO, person)
    monkeypatch.setenv("COUNTERSIGN_GITHUB_TOKEN", github.token("countersign-bot"))
    folder.mkdir(parents=True, exist_ok=True)
    home = CliHome(folder)
    people = [word for person in PEOPLE for word in ("--person", person)]
    where = ["--forge", "github", "--github-url", github.url, "--repo", f"web={github.git_url(REPO)}"]
    said = home.call("init", *where, *people)
    assert said.code == 0, said
    monkeypatch.delenv("COUNTERSIGN_GITHUB_TOKEN")
    give_secrets(home, github)
    ids = {**IDS, "github": {name: str(github.account(name).id) for name in ("ana", "bo", "lee", "max")}}
    introduce(home, ids, more)
    return home


def give_secrets(home: CliHome, github: FakeGitHub) -> None:
    """Name the secrets in the home, for processes that do not have our environment; and need no pauses."""
    (home.root / "github.token").write_text(github.token("countersign-bot"))
    (home.root / "state" / "github-webhook.secret").write_text(SECRET)
    config = home.root / "countersign.yaml"
    text = config.read_text()
    assert "github:\n" in text
    config.write_text(text.replace("github:\n", "github:\n  token_file: github.token\n  between_changes_s: 0\n"))


AUTO = "merge: {auto: true, method: squash, checks: [{name: test, app: 15368}]}"


def allow_merging(home: CliHome) -> None:
    """Let every rule merge by itself once `test` is green."""
    policy = home.root / "policy.yaml"
    text, count = re.subn(r"merge: \{.*\}", AUTO, policy.read_text())
    assert count
    policy.write_text(text)


async def approved_tree(place: ServedHome) -> str:
    """The tree that was countersigned."""
    staged = (await place.task()).staged
    assert staged is not None
    return staged.tree


def tree_of(hub: FakeGitHub, commit: str) -> str:
    """A commit's tree at GitHub."""
    return hub.git(REPO).run("rev-parse", f"{commit}^{{tree}}").decode().strip()


def status(hub: FakeGitHub, sha: str) -> str | None:
    """What our commit status says of a commit."""
    said = [s.state for s in hub.repo(REPO).statuses if s.sha == sha and s.context == "countersign"]
    return said[-1] if said else None


def ours(hub: FakeGitHub) -> list[str]:
    """What we wrote into conversations."""
    return [c.body for c in hub.repo(REPO).comments.values() if c.login == "countersign-bot"]
