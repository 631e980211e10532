"""A blocked change through the whole program: nowhere does what is shown hold the secret (lanes.md 6)."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from bot.cards.page import diff_page
from bot.integrations.webhooks.hooks import body_of
from policies.masking import mask_text
from tests.homes import CliHome
from tests.unit.policies.tokens import GITHUB

pytestmark = [pytest.mark.lanes]

SPLIT = f"a = '{GITHUB[:20]}' \\\n    '{GITHUB[20:]}'\n"


def shown_of(home: CliHome, number: int) -> str:
    """All that the command line shows of a task."""
    views = [
        ("show", number), ("show", number, "--json"), ("show", number, "--diff"), ("show", number, "--diff", "--json"),
        ("show", number, "--transcript"), ("list",), ("list", "--json"), ("queue", "--json"),
        ("events", "--task", number), ("events", "--task", number, "--json"),
    ]  # fmt: skip
    said = [home.call(*view) for view in views]
    return "\n".join(one.out + one.err for one in said)


@pytest.mark.sandbox
def test_lanes_06_a_blocked_change_shows_its_secret_nowhere(home: CliHome):
    code = f"print('made {GITHUB}'); open('src/x.py', 'w').write({SPLIT!r} + 'token = \"{GITHUB}\"\\nkept = 1\\n')"
    home.scripted(code)
    said = home.call("ask", "run it", "--lane", "scripted", "--as", "ana", "--wait")
    assert said.code == 4
    shown = said.out + said.err + shown_of(home, 1)
    for part in (GITHUB, GITHUB[:20], GITHUB[20:]):
        assert part not in shown
    assert "[redacted: github-pat]" in shown
    assert "kept = 1" in shown
    assert home.call("approve", 1, home.document("show", 1)["staged"]["digest"], "--as", "lee").code == 5


@pytest.mark.sandbox
def test_lanes_06_a_removed_line_of_an_env_file_is_not_shown(home: CliHome):
    home.commit({".env": "DB_HOST=db.internal\nDB_PASSWORD=4711-correct-horse\n"})
    home.scripted("import os; os.remove('.env'); open('src/y.py', 'w').write('y = 1\\n')", write='["**"]')
    assert home.call("ask", "run it", "--lane", "scripted", "--as", "ana", "--wait").code == 4
    shown = shown_of(home, 1)
    assert "4711-correct-horse" not in shown
    assert "db.internal" not in shown
    assert "y = 1" in shown
    assert "may not be changed in any lane (by **/.env)" in " ".join(shown.split())


def test_lanes_06_a_secret_in_the_request_itself_is_shown_nowhere(home: CliHome):
    text = f"set server.token to {GITHUB} in config/app.yaml"
    said = home.call("ask", text, "--as", "ana", "--wait")
    assert said.code == 4
    shown = said.out + said.err + shown_of(home, 1)
    assert GITHUB not in shown
    document = home.document("show", 1)
    assert document["title"] == "set server.token to [redacted: github-pat] in config/app.yaml"
    assert document["turns"][0]["text"] == document["title"]
    with closing(sqlite3.connect(home.database)) as database:
        kept = database.execute("SELECT text FROM turns").fetchall()
    assert kept == [(text,)], "what was said is kept as it was, for the work reads it"


def test_lanes_06_what_can_be_approved_is_shown_as_it_is(home: CliHome):
    home.commit({"config/app.yaml": f"token: {GITHUB}\nserver:\n  timeout: 10\n"})
    staged = home.staged()
    diff = home.call("show", staged["number"], "--diff").out
    assert f" token: {GITHUB}" in diff


def test_lanes_06_a_webhook_with_text_is_told_no_secret(home: CliHome):
    home.call("ask", f"use {GITHUB} in config/app.yaml", "--as", "ana", "--wait")
    from core.model.event import Event

    body = json.dumps({"text": GITHUB})
    event = Event(1, 1, 1, "task.requested", _noon(), 0, "ana", "terminal", body, "0" * 64, "0" * 64)
    assert GITHUB not in body_of(event, None, include_text=True, mask=mask_text)


def _noon():
    from tests.builders import NOON

    return NOON


def test_lanes_06_the_page_of_a_blocked_diff_is_made_of_the_masked_one(home: CliHome):
    from bot.cards.build import build_card

    said = home.call("ask", f"set server.token to {GITHUB} in config/app.yaml", "--as", "ana", "--wait")
    assert said.code == 4
    diff = home.call("show", 1, "--diff").out.encode()
    page = diff_page(build_card(home.document("show", 1), now=_noon()), diff).decode()
    assert GITHUB not in page
    assert "[redacted: github-pat]" in page
