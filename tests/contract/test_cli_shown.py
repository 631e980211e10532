"""What an approver is shown is what the digest names, whatever lies in the database (guard 12, security.md 156)."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing

import pytest

from tests.homes import CliHome

pytestmark = pytest.mark.law

HARMLESS = b"diff --git a/README.md b/README.md\n--- a/README.md\n+++ b/README.md\n@@ -1 +1 @@\n-# Web\n+# Web!\n"


def execute(home: CliHome, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(home.database)) as database, database:
        assert database.execute(statement, values).rowcount


def keep(home: CliHome, content: bytes) -> str:
    """Put a file among the artifacts, under its own hash, as someone at the database would."""
    sha256 = hashlib.sha256(content).hexdigest()
    path = home.root / "state" / "artifacts" / sha256[:2] / sha256[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return sha256


def test_guard_12_a_swapped_patch_is_not_shown(home: CliHome):
    number = home.staged()["number"]
    execute(home, "UPDATE artifacts SET sha256 = ? WHERE name = 'change.patch'", keep(home, HARMLESS))
    for words in (("show", number, "--diff"), ("show", number)):
        said = home.call(*words)
        assert said.code == 0, said
        assert "timeout: 30" in said.out
        assert "# Web!" not in said.out


def test_guard_12_a_swapped_tree_is_shown_to_nobody(home: CliHome):
    """A row whose tree is another one shows no diff at all: it is not the digest's."""
    task = home.staged()
    other = home.staged("set server.host to b in config/app.yaml")
    with closing(sqlite3.connect(home.database)) as database, database:
        (row,) = database.execute("SELECT staged FROM revisions WHERE number = ?", (task["number"],)).fetchone()
        staged = {**json.loads(row), "tree": other["staged"]["tree"]}
        database.execute("UPDATE revisions SET staged = ? WHERE number = ?", (json.dumps(staged), task["number"]))
    for words in (("show", task["number"], "--diff"), ("show", task["number"])):
        said = home.call(*words)
        assert said.code != 0
        assert "modified outside Countersign" in said.err
    assert home.call("approve", task["number"], task["staged"]["digest"], "--as", "lee", "--wait").code != 0
    assert home.document("show", task["number"])["pull_request"] is None
