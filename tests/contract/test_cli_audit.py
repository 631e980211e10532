"""`audit export`: every change of the branches, who had which part in it, and what is not as it should be."""

from __future__ import annotations

import csv
import io
import sqlite3
from contextlib import closing

import pytest

from tests.homes import CliHome, copy_home, make_home

pytestmark = [pytest.mark.law, pytest.mark.xdist_group("cli audit")]


@pytest.fixture(scope="module")
def audited_home(tmp_path_factory: pytest.TempPathFactory) -> CliHome:
    """A home with a merged task (#1), a task merged by hand (#2), and a commit of no task."""
    home = make_home(tmp_path_factory.mktemp("audit"))
    home.published()
    assert home.document("merge", 1)["state"] == "merged"
    home.published("set server.host to b in config/app.yaml")
    first, head = (
        home.git("rev-parse", "main"),
        home.git("rev-parse", "refs/heads/countersign/2-set-server-host-to-b-in-config-app-yaml"),
    )
    made = home.git("commit-tree", f"{head}^{{tree}}", "-p", first, "-p", head, "-m", "Merge by hand")
    home.git("update-ref", "refs/heads/main", made)
    home.commit({"src/a.py": "print(2)\n"}, "=HYPERLINK(1)")
    return home


def test_the_population_is_what_is_on_the_branch(audited_home: CliHome):
    document = audited_home.document("audit", "export", "--profile", "soc2")
    rows = document["changes"]
    assert [(row["subject"][:13], row["task"], row["countersigned"]) for row in rows][1:] == [
        ("Merge #1: set", 1, True),
        ("Merge by hand", 2, False),
        ("=HYPERLINK(1)", None, False),
    ]
    first = rows[1]
    assert (first["requested_by"], first["approved_by"], first["authors"]) == ("ana", ["lee"], ["ana"])
    assert first["segregated"] is True
    assert first["receipt_sha256"]
    assert rows[0]["subject"] == "start", "the commit before the first task"
    assert "it did not come through Countersign" in rows[3]["gaps"][0]
    assert any("no event records a merge" in gap for gap in rows[2]["gaps"]), rows[2]
    assert (document["population"], document["countersigned"], len(document["gaps"])) == (4, 1, 3)
    assert all(chain["fault"] is None for chain in document["chains"])


def test_as_csv_no_cell_is_a_formula_and_gaps_are_told(audited_home: CliHome):
    said = audited_home.call("audit", "export", "--profile", "soc2", "--csv", "--check")
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert said.code == 1
    assert rows[3]["subject"] == "'=HYPERLINK(1)"
    assert said.err.count("gap: ") == 3


def test_the_summary_names_every_gap(audited_home: CliHome):
    said = audited_home.call("audit", "export", "--profile", "soc2")
    assert said.code == 0
    assert "4 changes on the branches, 1 countersigned" in said.out
    assert said.out.count("gap: ") == 3


def test_an_event_that_was_removed_is_a_gap(audited_home: CliHome, tmp_path):
    home = copy_home(audited_home, tmp_path / "copy")
    with closing(sqlite3.connect(home.database)) as database, database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {name}")
        database.execute("DELETE FROM events WHERE number = 1 AND seq = 2")
    document = home.document("audit", "export", "--check", code=1)
    assert document["gaps"] == ["#1: event 2 is missing"]
    events = [event for event in document["events"] if event["task"] == 1]
    assert 2 not in {event["seq"] for event in events}


def test_a_time_without_changes_has_no_rows(audited_home: CliHome):
    document = audited_home.document(
        "audit", "export", "--profile", "soc2", "--until", "2020-01-01T00:00Z", "--since", "2019-01-01T00:00Z"
    )
    assert (document["changes"], document["gaps"], document["chains"]) == ([], [], [])


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("--csv",), 2, "--profile soc2"),
        (("--profile", "soc2", "--repo", "nope"), 6, "there is no repository nope"),
        (("--profile", "soc2", "--repo-path", "."), 2, "--repo-path needs --repo"),
        (("--profile", "soc2", "--repo", "web", "--repo-path", "/nowhere"), 6, "not a git repository"),
        (("--since", "soon"), 2, "is not a time"),
    ],
)
def test_wrong_words_are_told(audited_home: CliHome, words, code, sentence):
    said = audited_home.call("audit", "export", *words)
    assert (said.code, sentence in said.err) == (code, True), said
