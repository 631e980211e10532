"""The commands sign-in and sessions, and the section ``web:`` of countersign.yaml."""

from __future__ import annotations

import re

import pytest

from bot.configuration.config import load_config
from core.model.errors import ConfigError

pytestmark = [pytest.mark.window]


def with_web(home, section: str) -> None:
    config = home.root / "countersign.yaml"
    config.write_text(re.sub(r"\nweb:.*", "", config.read_text()) + f"\nweb: {section}\n")


def test_a_link_is_for_the_named_person_and_begins_with_the_configured_address(home):
    link = home.document("sign-in", "--as", "lee")
    assert re.fullmatch(r"http://127\.0\.0\.1:8700/sign-in/[\w-]{43}", link["url"])
    assert (link["person"], link["expires_s"]) == ("lee", 600)
    assert home.document("sign-in", "--port", 9000)["url"].startswith("http://127.0.0.1:9000/")
    assert home.document("sign-in", "--as", "ghost", code=6)["error"]["code"] == "no_such_person"
    with_web(home, "{url: 'https://c.example.org/'}")
    assert home.document("sign-in")["url"].startswith("https://c.example.org/sign-in/")
    assert home.call("sign-in").out.startswith("https://c.example.org/sign-in/")


def test_sessions_can_be_listed_and_ended_from_the_terminal(home):
    assert home.document("sessions", "list") == []
    assert "sign-in" in home.call("sessions", "list").out
    assert home.document("sessions", "revoke", "ses_x", code=6)["error"]["code"] == "no_such_session"
    assert home.document("sessions", "revoke", "--all-of", "lee") == {"revoked": 0}
    assert home.call("sessions", "revoke").code == 2


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("{url: 'http://c.example.org'}", "web.url"),
        ("{url: 'https://c.example.org/path'}", "web.url"),
        ("{url: 'ftp://c.example.org'}", "web.url"),
        ("{url: 'https://user@c.example.org'}", "web.url"),
        ("{hosts: ['a b']}", "web.hosts"),
        ("{hosts: ['*']}", "web.hosts"),
        ("{port: 1}", "web.port"),
    ],
)
def test_a_section_that_is_not_safe_is_refused_with_its_key(home, section, key):
    with_web(home, section)
    with pytest.raises(ConfigError) as caught:
        load_config(home.root / "countersign.yaml")
    assert caught.value.key == key
    assert caught.value.problem.mend


def test_the_pages_are_served_under_the_configured_names(home):
    with_web(home, "{url: 'https://C.example.org', hosts: ['box.lan:8700']}")
    settings = load_config(home.root / "countersign.yaml").web
    assert settings is not None
    assert settings.hosts == {"c.example.org", "box.lan:8700"}
    config = home.root / "countersign.yaml"
    config.write_text(config.read_text().replace('"ana": {', '"ana": {identities: {web: x}, '))
    with pytest.raises(ConfigError, match="is not a surface"):
        load_config(config)
