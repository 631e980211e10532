"""`verify` names what was forged: rows, events, the kept diff, the branch and the merge (guard 12, security.md 156)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.homes import CliHome, copy_home, make_home

pytestmark = [pytest.mark.law, pytest.mark.xdist_group("cli verify")]  # one published home for all


@pytest.fixture(scope="module")
def merged_home(tmp_path_factory: pytest.TempPathFactory) -> CliHome:
    """A home with one published task (#1) and one merged task (#2); made once, copied for each forgery."""
    home = make_home(tmp_path_factory.mktemp("verify"))
    published(home, "set server.timeout to 30 in config/app.yaml")
    published(home, "set server.host to b in config/app.yaml")
    assert home.document("merge", 2)["state"] == "merged"
    return home


def published(home: CliHome, text: str) -> dict[str, Any]:
    task = home.document("ask", text, "--repo", "web", "--as", "ana", "--wait")
    found = home.document("approve", task["number"], task["staged"]["digest"], "--as", "lee", "--wait")
    assert found["state"] == "published", found
    return found


@pytest.fixture
def forged(merged_home: CliHome, tmp_path: Path) -> CliHome:
    return copy_home(merged_home, tmp_path / "copy")


def execute(home: CliHome, *statements: str) -> None:
    with closing(sqlite3.connect(home.database)) as database, database:
        unlock(database)
        for statement in statements:
            assert database.execute(statement).rowcount, f"it changed nothing: {statement}"


def unlock(database: sqlite3.Connection) -> None:
    """Events are append-only by triggers, which the owner of the file can drop."""
    for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        database.execute(f"DROP TRIGGER {name}")


def failed(home: CliHome, number: int = 1) -> dict[str, str]:
    """The checks that fail, each with its detail."""
    said = home.call("verify", number, "--json")
    checks = said.json()["checks"]
    bad = {check["name"]: check["detail"] for check in checks if check["verdict"] == "fail"}
    assert (said.code, said.json()["verified"]) == ((1, False) if bad else (0, True))
    return bad


def change_json(home: CliHome, table: str, column: str, where: str, change: Callable[[Any], Any]) -> None:
    with closing(sqlite3.connect(home.database)) as database, database:
        (row,) = database.execute(f"SELECT {column} FROM {table} WHERE {where}").fetchone()
        changed = json.dumps(change(json.loads(row)))
        database.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (changed,))


@pytest.mark.parametrize("number", [1, 2])
def test_what_nobody_forged_is_proven(forged, number):
    assert failed(forged, number) == {}


ONE_MORE = (
    "INSERT INTO approvals (number, digest, person, revision, verdict, surface, reason, at_ms) "
    "SELECT number, digest, 'max', revision, verdict, surface, reason, at_ms FROM approvals WHERE number = 1"
)
ONE_TURN_MORE = (
    "INSERT INTO turns SELECT number, 2, revision, 'bo', surface, text, NULL, at_ms FROM turns WHERE number = 1"
)
ROWS = {
    "approver": ("UPDATE approvals SET person = 'max' WHERE number = 1", "approv"),
    "approver added": (ONE_MORE, "approv"),
    "approval's surface": ("UPDATE approvals SET surface = 'slack' WHERE number = 1", "approv"),
    "approval's time": ("UPDATE approvals SET at_ms = at_ms - 1 WHERE number = 1", "approv"),
    "approval gone": ("DELETE FROM approvals WHERE number = 1", "approv"),
    "requester": ("UPDATE tasks SET requester = 'bo' WHERE number = 1", "names bo as its requester"),
    "turn's words": ("UPDATE turns SET text = 'set nothing' WHERE number = 1", "turn"),
    "turn's person": ("UPDATE turns SET person = 'bo' WHERE number = 1", "turn"),
    "turn added": (ONE_TURN_MORE, "turns"),
    "author": ("UPDATE revisions SET author = 'bo' WHERE number = 1", "author"),
    "lane": ("UPDATE revisions SET lane = 'docs' WHERE number = 1", "decision"),
    "state": ("UPDATE tasks SET state = 'merged' WHERE number = 1", "last event"),
}


@pytest.mark.parametrize("case", ROWS)
def test_guard_12_forged_rows_are_named(forged, case):
    statement, word = ROWS[case]
    execute(forged, statement)
    assert word in failed(forged)["rows"]


STAGED = {
    "guard": (lambda row: {**row, "guard": [{**f, "verdict": "pass", "detail": "ok"} for f in row["guard"]]}, "guard"),
    "file": (lambda row: {**row, "files": [{**row["files"][0], "path": "docs/a.md"}]}, "staged change"),
    "tree": (lambda row: {**row, "tree": "0" * 40}, "staged change"),
    "digest": (lambda row: {**row, "digest": "0" * 64}, ""),
}


@pytest.mark.parametrize("case", STAGED)
def test_guard_12_a_forged_staged_diff_is_named(forged, case):
    change, word = STAGED[case]
    change_json(forged, "revisions", "staged", "number = 1", change)
    assert word in failed(forged)["rows"]


def test_guard_12_forged_terms_authors_and_pull_request_are_named(forged):
    change_json(forged, "revisions", "terms", "number = 1", lambda terms: {**terms, "count": 2})
    change_json(forged, "revisions", "basis", "number = 1", lambda basis: {**basis, "authors": ["max"]})
    execute(forged, f"UPDATE pull_requests SET head = '{'0' * 40}' WHERE number = 1")
    detail = failed(forged)["rows"]
    for word in ("decision", "authors", "pull request"):
        assert word in detail


def test_guard_12_a_swapped_patch_is_named(forged):
    execute(
        forged,
        "UPDATE artifacts SET sha256 = (SELECT sha256 FROM artifacts WHERE number = 2 AND name = 'change.patch') "
        "WHERE number = 1 AND name = 'change.patch'",
    )
    assert "patch" in failed(forged)


@pytest.mark.parametrize("number", [1, 2])
def test_guard_12_events_cut_off_after_the_receipt_are_missed(forged, number):
    execute(
        forged,
        f"DELETE FROM events WHERE number = {number} AND seq = (SELECT max(seq) FROM events WHERE number = {number})",
    )
    bad = failed(forged, number)
    assert "last event" in bad.get("rows", "") or "no event records" in bad.get("events", "")


def test_guard_12_all_events_after_the_receipt_cut_off_and_the_row_set_back(forged):
    """Even with the task's row set back to match, what the receipt tells of was never published."""
    execute(
        forged,
        "DELETE FROM events WHERE number = 1 AND seq >= (SELECT min(seq) FROM events WHERE number = 1 "
        "AND kind = 'task.published')",
        "UPDATE tasks SET state = 'approved' WHERE number = 1",
    )
    assert "no event records" in failed(forged)["events"]


def test_guard_12_a_merge_that_no_event_tells_of_is_named(forged):
    """The last event is gone and the row set back to published, but main has the merge."""
    execute(
        forged,
        "DELETE FROM events WHERE number = 2 AND kind IN ('task.merged', 'task.merge_asked')",
        "UPDATE tasks SET state = 'published' WHERE number = 2",
    )
    assert "no event records" in failed(forged, 2)["merge"]


# ---- the branch that it was merged into


def test_guard_12_main_that_was_reset_is_named(forged):
    forged.git("update-ref", "refs/heads/main", forged.git("rev-parse", "main^1"))
    assert "reset" in failed(forged, 2)["merge"]


@pytest.mark.parametrize("shape", ["same parents", "one parent", "other parent"])
def test_guard_12_an_evil_merge_is_named(forged, shape):
    """Main is given a merge that joins the approved head, with something more in its tree."""
    first, head = forged.git("rev-parse", "main^1"), forged.git("rev-parse", "main^2")
    tree = forged.git("rev-parse", f"{forged.commit({'evil.py': 'x = 1'})}^{{tree}}")
    evil = forged.git("commit-tree", tree, "-p", first, "-m", "evil")
    parents = {"same parents": (first, head), "one parent": (first,), "other parent": (first, evil)}[shape]
    words = [word for parent in parents for word in ("-p", parent)]
    made = forged.git("commit-tree", tree, *words, "-m", "Merge")
    forged.git("update-ref", "refs/heads/main", made)
    assert "reset" in failed(forged, 2)["merge"], "the merge that the events name is gone"

    chain_to(forged, 2, made)
    bad = failed(forged, 2)
    assert "merge" in bad
    assert "reset" not in bad["merge"]


def chain_to(home: CliHome, number: int, commit: str) -> None:
    """Forge the event of the merge too, its hash computed anew, as someone at the database can."""
    from core.model.event import canonical, link

    with closing(sqlite3.connect(home.database)) as database, database:
        unlock(database)
        columns = "previous, number, seq, kind, at_ms, person, surface, body"
        row = database.execute(
            f"SELECT {columns} FROM events WHERE number = ? AND kind = 'task.merged'", (number,)
        ).fetchone()
        body = canonical({**json.loads(row[-1]), "commit": commit})
        previous, _, seq, kind, at_ms, person, surface, _ = row
        made = link(previous, number, seq, kind, at_ms, person, surface, body)
        database.execute(
            "UPDATE events SET body = ?, hash = ? WHERE number = ? AND kind = 'task.merged'", (body, made, number)
        )


def test_guard_12_the_published_commit_stands_on_the_approved_base(forged):
    """A commit with the approved tree on another base is not what was countersigned."""
    task = forged.document("show", 1)
    other = forged.commit({"more.txt": "more\n"})
    made = forged.git("commit-tree", f"{task['pull_request']['head']}^{{tree}}", "-p", other, "-m", "x")
    forged.git("update-ref", f"refs/heads/{task['pull_request']['branch']}", made)
    assert "branch" in failed(forged)


# ---- before anything is signed


def test_guard_12_what_was_forged_before_publishing_is_not_published(home: CliHome):
    task = home.staged()
    digest = task["staged"]["digest"]
    policy = home.root / "policy.yaml"
    assert home.document("approve", 1, digest, "--as", "lee")["state"] == "approved"
    execute(home, "UPDATE approvals SET person = 'max' WHERE number = 1")
    assert policy.exists()
    home.call("worker", "--drain")
    fallen = home.document("show", 1)
    assert (fallen["state"], fallen["pull_request"]) == ("failed", None)
    assert "no event records that max approved" in fallen["error"]["message"]


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"[]", b'{"passkeys": [{}]}', b"a" * 2_000_000])
def test_a_file_without_public_keys_is_named_in_a_sentence_and_proves_nothing(merged_home: CliHome, tmp_path, content):
    file = tmp_path / "keys.json"
    if content is not None:
        file.write_bytes(content)
    said = merged_home.call("verify", 1, "--passkey", file)
    assert said.code == 2
    assert str(file) in said.sentence()
    assert "Errno" not in said.sentence()


def test_a_part_is_proven_to_be_exactly_what_was_chosen_and_another_choice_is_named(home, tmp_path):
    asked = home.document(
        "ask",
        'set server.timeout to 30 in config/app.yaml; create config/b.json with "{}"',
        "--repo",
        "web",
        "--as",
        "ana",
        "--wait",
    )
    first, _ = home.document("pick", 1)["parts"]
    picked = home.document("pick", 1, "--leave-out", "--file", "config/b.json", "--as", "max", "--wait")
    assert [(part["person"], part["kept"], part["total"]) for part in picked["picked"]] == [("max", 1, 2)]
    assert picked["title"] == asked["title"]
    digest = picked["staged"]["digest"]
    assert home.document("approve", 1, digest, "--as", "lee", "--wait")["state"] == "published"
    said = home.call("verify", 1, "--json").json()["checks"]
    (parts,) = (check for check in said if check["name"] == "parts")
    assert (parts["verdict"], parts["detail"]) == (
        "ok",
        "revision 2 is exactly 1 of 2 parts of revision 1, chosen by max: 1",
    )
    other = copy_home(home, tmp_path / "copy")
    change_json(
        other,
        "revisions",
        "intent",
        "n = 2",
        lambda intent: intent | {"selection": intent["selection"] | {"ids": [first["id"][::-1]]}},
    )
    assert failed(other) == {"parts": "the parts of revision 2 are not those that its event names"}
    change_json(
        home,
        "revisions",
        "basis",
        "n = 2",
        lambda basis: basis | {"picked": [basis["picked"][0] | {"person": "bo"}]},
    )
    assert "the choices of parts differ from the receipt" in failed(home)["rows"]


def test_the_receipt_of_a_home_is_verified_from_its_file_and_a_clone_alone(merged_home, tmp_path):
    file, nowhere = tmp_path / "receipt.json", CliHome(tmp_path / "nowhere")
    file.write_text(merged_home.call("show", 2, "--receipt").out)
    trust = ("--home-key", merged_home.root / "state" / "keys" / "receipt.pub.json", "--repo-path", merged_home.bare)
    found = nowhere.document("verify", file, *trust)
    verdicts = {check["name"]: check["verdict"] for check in found["checks"]}
    assert verdicts == {
        **dict.fromkeys(("signature", "files", "approvals", "branch", "tree", "digest"), "ok"),
        **dict.fromkeys(("passkeys", "rest"), "warn"),
    }
    assert (found["task"], found["verified"], found["proven"]) == (2, True, [])
    head = merged_home.git("rev-parse", "main~1")
    other = copy_home(merged_home, tmp_path / "copy")
    other.git("update-ref", f"refs/heads/{merged_home.document('show', 2)['pull_request']['branch']}", head)
    moved = nowhere.document("verify", file, *trust[:3], other.bare, code=1)
    assert [check["name"] for check in moved["checks"] if check["verdict"] == "fail"] == ["branch"]
