"""The teams in countersign.yaml: what is refused, and what it means."""

from __future__ import annotations

import pytest

from bot.configuration.config import load_config
from core.model.errors import ConfigError
from core.model.team import DEFAULT_TEAM

pytestmark = pytest.mark.law

HOME = """version: 1
teams: [shop, pay]
repositories:
  web: {url: web.git, team: shop}
  docs: {url: docs.git}
people:
  ana: {teams: {shop: [member]}}
  lee: {roles: [maintainer], teams: {shop: [viewer]}}
  bo: {}
  kim: {home_roles: [admin]}
"""


def loaded(tmp_path, text: str):
    (tmp_path / "countersign.yaml").write_text(text)
    return load_config(tmp_path / "countersign.yaml")


def test_roles_are_read_by_team(tmp_path):
    people = loaded(tmp_path, HOME).people
    assert people.teams.owners == {"web": "shop", "docs": DEFAULT_TEAM}
    assert people.named("lee").teams == {"shop": {"viewer"}, DEFAULT_TEAM: {"maintainer"}}
    assert people.named("bo").teams == {DEFAULT_TEAM: frozenset()}
    assert {name: people.seen_by(name).names for name in ("ana", "lee", "bo", "kim")} == {
        "ana": ("web",),
        "lee": ("docs", "web"),
        "bo": ("docs",),
        "kim": None,
    }


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("team: shop}", "team: shp}", "there is no team 'shp'"),
        ("teams: {shop: [member]}", "teams: {shp: [member]}", "is not a team"),
        ("teams: [shop, pay]\n", "", "there is no team 'shop'"),
        ("teams: [shop, pay]", "teams: [shop, pay, default]", "default is there already"),
        ("teams: [shop, pay]", "teams: [shop, member]", "member is also a person or a role"),
        ("teams: [shop, pay]", "teams: [shop, kim]", "kim is also a person or a role"),
        ("teams: [shop, pay]", 'teams: [shop, "a b"]', "is not a plain name"),
    ],
)
def test_a_team_that_means_nothing_is_refused(tmp_path, old, new, words):
    assert old in HOME
    with pytest.raises(ConfigError, match=words):
        loaded(tmp_path, HOME.replace(old, new))


def test_roles_by_team_mean_nothing_without_teams(tmp_path):
    text = HOME.replace("teams: [shop, pay]\n", "").replace(", team: shop", "")
    with pytest.raises(ConfigError, match="means nothing in a home without teams"):
        loaded(tmp_path, text)
