"""`doctor` and `policy check` call nothing sound that `serve` refuses (lanes.md 1)."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from tests.homes import CliHome

pytestmark = pytest.mark.lanes

LONG = "s" * 40
SECTIONS = {
    "a webhook over http": ("webhooks: {ci: {url: 'http://ci.example/x', secret_file: long}}", "webhooks.ci.url"),
    "a webhook without a host": ("webhooks: {ci: {url: 'https://', secret_file: long}}", "webhooks.ci.url"),
    "a webhook with a password": ("webhooks: {ci: {url: 'https://u:p@x/', secret_file: long}}", "webhooks.ci.url"),
    "a webhook without a secret": ("webhooks: {ci: {url: 'https://ci.example/x'}}", "webhooks.ci"),
    "a webhook with a short one": ("webhooks: {ci: {url: 'https://ci.example/', secret_file: short}}", "webhooks.ci"),
    "a webhook's events": ("webhooks: {ci: {url: 'https://x.y/', secret_file: long, events: ['!']}}", "webhooks.ci"),
    "a webhook's name": ("webhooks: {'a b': {url: 'https://x.y/', secret_file: long}}", "webhooks.a b"),
    "a tracker": ("tickets: {jira: {url: 'http://jira.example', projects: [ABC]}}", "tickets.jira.url"),
    "a project": ("tickets: {jira: {url: 'https://jira.example', projects: [abc]}}", "tickets.jira"),
    "a key file that is not there": (
        "models: {local: {kind: openai, url: 'http://127.0.0.1:1/v1', key_file: nowhere}}",
        "nowhere cannot be read",
    ),
    "telegram without a token": ("telegram: {chats: {}}", "telegram"),
    "slack without a token": ("slack: {}", "slack"),
    "a zone": ("zone: Moon/Base", "zone"),
    "a plugin": ("plugins: {guards: {nosuch: {distribution: nosuch}}}", "nosuch"),
}


@pytest.mark.parametrize("name", SECTIONS)
def test_lanes_01_what_serve_refuses_doctor_and_policy_check_refuse_in_the_same_words(home: CliHome, name: str):
    more, part = SECTIONS[name]
    (home.root / "long").write_text(LONG)
    (home.root / "short").write_text("short")
    config = home.root / "countersign.yaml"
    config.write_text(f"{config.read_text().rstrip()}\n{more}\n")
    serve = home.call("serve", "--port", "0")
    assert serve.code != 0
    assert part in serve.sentence(), serve
    check = home.call("policy", "check")
    assert check.code != 0
    rows = [row for row in home.document("doctor", code=1)["checks"] if row["verdict"] == "fail"]
    assert rows
    if name != "a plugin":
        assert check.sentence() == serve.sentence()
        assert any(row["detail"] in serve.sentence() for row in rows)
        assert all(row["mend"] for row in rows)


def test_lanes_01_a_sound_home_is_sound_for_all_three(home: CliHome):
    (home.root / "long").write_text(LONG)
    config = home.root / "countersign.yaml"
    hook = "webhooks: {ci: {url: 'https://ci.example/x', secret_file: long}}"
    config.write_text(f"{config.read_text().rstrip()}\n{hook}\n")
    assert home.call("policy", "check").code == 0
    assert home.call("doctor").code == 0


def test_lanes_01_deliveries_that_were_given_up_show_in_doctor_and_stats(home: CliHome):
    home.call("ask", "set server.timeout to 30 in config/app.yaml", "--as", "ana", "--wait")
    with closing(sqlite3.connect(home.database)) as database, database:
        row = "INSERT INTO deliveries (id, hook, event_id, body, state, attempt, due_ms, created_ms, problem) VALUES "
        database.execute(row + "('d1', 'ci', 1, '{}', 'sent', 1, 0, 0, NULL)")
        database.execute(row + "('d2', 'ci', 2, '{}', 'failed', 9, 0, 0, 'the receiver answered 410')")
    found = home.document("stats")["deliveries"]
    assert found == {"ci": {"sent": 1, "due": 0, "failed": 1, "problem": "the receiver answered 410"}}
    assert "1 sent, 0 due, 1 given up" in home.call("stats").out
    (row,) = [row for row in home.document("doctor")["checks"] if row["name"] == "webhook ci"]
    assert row["verdict"] == "warn"
    assert row["detail"] == "1 given up: the receiver answered 410 (1 sent, 0 due)"


def test_lanes_01_a_recurring_request_that_cannot_succeed_any_more_has_a_row(home: CliHome):
    made = home.document("every", "daily 09:00", "set server.timeout to 1 in config/app.yaml", "--as", "ana")
    assert any(row["name"] == "recurring requests" for row in home.document("doctor")["checks"])
    config = home.root / "countersign.yaml"
    config.write_text(config.read_text().replace('"ana":', '"anna":'))
    (row,) = [row for row in home.document("doctor")["checks"] if row["name"] == f"recurring request {made['id']}"]
    assert row["verdict"] == "warn"
    assert f"unschedule {made['id']}" in row["mend"]
