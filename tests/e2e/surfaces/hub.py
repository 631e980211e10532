"""A home whose repository lives at the fake GitHub, made as a person would make it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.github import FakeGitHub
from tests.homes import FILES, PEOPLE, CliHome
from tests.town import IDS, introduce

REPO = "acme/web"
SECRET = "a-long-made-up-webhook-secret-of-tests"


def hub_home(folder: Path, github: FakeGitHub, monkeypatch: pytest.MonkeyPatch, more: str = "") -> CliHome:
    """`countersign init --forge github`, then everybody's identities; the bot's account is `countersign-bot`."""
    github.repository(REPO, FILES)
    github.allow(REPO, "countersign-bot", "write")
    for person in ("ana", "bo", "lee", "max"):
        github.allow(REPO, person)
    monkeypatch.setenv("COUNTERSIGN_GITHUB_TOKEN", github.token("countersign-bot"))
    monkeypatch.setenv("COUNTERSIGN_GITHUB_WEBHOOK_SECRET", SECRET)
    folder.mkdir(parents=True, exist_ok=True)
    home = CliHome(folder)
    people = [word for person in PEOPLE for word in ("--person", person)]
    where = ["--forge", "github", "--github-url", github.url, "--repo", f"web={github.git_url(REPO)}"]
    said = home.call("init", *where, *people)
    assert said.code == 0, said
    ids = {**IDS, "github": {name: str(github.account(name).id) for name in ("ana", "bo", "lee", "max")}}
    introduce(home, ids, more)
    return home
