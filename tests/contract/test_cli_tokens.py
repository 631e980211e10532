"""`countersign tokens`: a token is shown once, listed without its secret, and every change is an event."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.surfaces


def test_a_token_is_created_shown_once_listed_and_revoked(home):
    made = home.document("tokens", "create", "release bot", "--as", "ana", "--scope", "request", "--repo", "web")
    written = made.pop("token")
    assert written.startswith(f"cst_{made['id']}_")
    assert (made["person"], made["scopes"], made["repositories"]) == ("ana", ["request"], ["web"])
    assert made["expires_at"] is not None
    listed = home.call("tokens", "list", "--json")
    assert json.loads(listed.out) == {"tokens": [made]}
    text = home.call("tokens", "list").out
    assert "release bot  of ana: request on web; expires" in text
    assert written not in listed.out + text
    assert home.document("tokens", "revoke", made["id"])["revoked_at"] is not None
    assert "revoked" in home.call("tokens", "list").out
    kinds = {event["kind"]: event for event in map(json.loads, home.call("events", "--json").out.splitlines())}
    assert kinds["token.created"]["body"]["name"] == "release bot"
    assert kinds["token.revoked"]["body"]["of"] == "ana"
    assert written.removeprefix(f"cst_{made['id']}_") not in home.call("events", "--json").out


def test_a_pipe_gets_the_token_alone(home):
    said = home.call("tokens", "create", "x", "--expires", "never")
    assert said.out.strip().startswith("cst_")
    assert len(said.out.split()) == 1
    assert "of the operator: read on every repository; does not expire" in said.err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("create", "x", "--as", "eve"), 6),
        (("create", "x", "--repo", "nosuch"), 6),
        (("create", "x", "--scope", "everything"), 2),
        (("create", " "), 2),
        (("create", "a\nb"), 2),
        (("create", "x", "--expires", "soon"), 2),
        (("create", "x", "--expires", "2020-01-01T00:00Z"), 2),
        (("revoke", "nosuch"), 6),
    ],
)
def test_what_is_not_known_or_not_valid_is_refused(home, words, code):
    said = home.call("tokens", *words)
    assert said.code == code, said
    assert said.sentence()
    assert home.document("tokens", "list") == {"tokens": []}
