"""Every exit code of contract.md, reached by a real cause through the real console script, and what is said with it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from tests.homes import SCRIPT, CliHome, Said

ASK = ("ask", "set server.timeout to 30 in config/app.yaml", "--as", "ana")


def test_0_done_as_asked(home: CliHome):
    said = home.run(*ASK, "--wait", "--json")
    assert (said.code, said.err) == (0, "")
    assert said.json()["state"] == "staged"


def test_1_failed(home: CliHome):
    assert home.run("ask", "set server.host to a in config/app.yaml", "--as", "ana", "--wait", "--json").code == 1
    (home.root / "state" / "keys").rename(home.folder / "keys")
    doctor = home.run("doctor", "--json")
    assert doctor.code == 1
    assert [c["name"] for c in doctor.json()["checks"] if c["verdict"] == "fail"] == ["signing key"]


def test_2_usage_and_configuration_with_file_line_and_key(home: CliHome):
    assert home.run("ask", "--as", "ana").code == 2
    policy = home.root / "policy.yaml"
    policy.write_text(policy.read_text() + "\nrulez: []\n")
    said = home.run("policy", "check")
    assert said.code == 2
    line = policy.read_text().splitlines().index("rulez: []") + 1
    assert f"{policy}:{line}: rulez: unknown key" in said.sentence()


def test_3_refused_by_policy(home: CliHome):
    said = home.run("ask", "create src/b.py with 'print(2)'", "--as", "ana", "--wait", "--json")
    assert (said.code, said.json()["state"]) == (3, "refused")


def test_4_blocked_by_the_guard(home: CliHome):
    secret = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
    said = home.run("ask", f'add the line "{secret}" to README.md', "--as", "ana", "--wait", "--json")
    assert (said.code, said.json()["error"]["code"]) == (4, "guard_blocked")
    assert "block" in {finding["verdict"] for finding in said.json()["staged"]["guard"]}
    assert secret not in said.err


def test_5_conflict(home: CliHome):
    task = home.staged()
    said = home.run("approve", task["number"], "0" * 64, "--as", "lee", "--json")
    assert (said.code, said.json()["error"]["code"]) == (5, "stale_digest")


def test_6_no_such_thing(home: CliHome):
    said = home.run("show", 999, "--json")
    assert (said.code, said.json()["error"]["code"]) == (6, "no_such_task")


def test_7_unavailable(home: CliHome):
    home.database.write_bytes(b"this is no database" * 500)
    said = home.run("list", "--json")
    assert (said.code, said.json()["error"]["code"]) == (7, "database_corrupt")


@pytest.mark.parametrize("code", [5, 6])
def test_with_json_the_error_is_on_stdout_and_the_sentence_on_stderr(home: CliHome, code):
    words = ("init", "--repo", "web=/x") if code == 5 else ("show", "7")
    plain, as_json = home.run(*words), home.run(*words, "--json")
    assert (plain.code, as_json.code) == (code, code)
    assert plain.out == ""
    assert plain.sentence() == as_json.sentence()
    error = as_json.json()["error"]
    assert set(error) - {"advice"} == {"code", "message", "mend", "kind"}
    assert error["message"] in plain.sentence()
    assert error["mend"] in plain.sentence()


# Many causes, in this process: (what is done first, the words, the code, a part of the sentence).
Cause = tuple[Callable[[CliHome], object], tuple[object, ...], int, str]


def _nothing(_home: CliHome) -> None:
    """The home as it is."""


def _staged(home: CliHome) -> None:
    home.staged()


def _approved(home: CliHome) -> None:
    task = home.staged()
    home.document("approve", 1, task["staged"]["digest"], "--as", "lee")


def _published(home: CliHome) -> None:
    home.published()


def _two_repositories(home: CliHome) -> None:
    config = home.root / "countersign.yaml"
    line = next(line for line in config.read_text().splitlines() if line.startswith("  web:"))
    config.write_text(config.read_text().replace(line, f"{line}\n{line.replace('web', 'app', 1)}"))


def _newer(home: CliHome) -> None:
    with closing(sqlite3.connect(home.database)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")


def _without_remote(home: CliHome) -> None:
    shutil.rmtree(home.bare)


CAUSES: dict[str, Cause] = {
    "no command": (_nothing, (), 2, "Missing command"),
    "unknown command": (_nothing, ("frobnicate",), 2, "No such command"),
    "unknown option": (_nothing, ("list", "--colour"), 2, "No such option"),
    "unknown state": (_nothing, ("list", "--state", "lost"), 2, "is not one of"),
    "number that is none": (_nothing, ("show", "one"), 2, "countersign show --help"),
    "number below one": (_nothing, ("show", "0"), 2, "range"),
    "number beyond any": (_nothing, ("show", "9" * 30), 2, "range"),
    "schema of nothing": (_nothing, ("schema",), 2, "Choose from: task, event, receipt"),
    "empty text": (_nothing, ("ask", "", "--as", "ana"), 2, "the request is empty"),
    "blank text": (_nothing, ("ask", " \n\t ", "--as", "ana"), 2, "the request is empty"),
    "nobody in particular": (_nothing, ("ask", "set a to 1 in x.yaml"), 2, "--as PERSON; known: ana, bo, lee, max"),
    "unknown person": (_nothing, ("ask", "x", "--as", "mallory"), 6, "no person called mallory is configured"),
    "unknown repository": (_nothing, (*ASK, "--repo", "nope"), 6, "Known: web"),
    "unknown lane": (_nothing, (*ASK, "--lane", "nope"), 2, "Known: code, config, docs"),
    "unknown task to wait for": (_nothing, (*ASK, "--after", "9"), 6, "no task #9"),
    "time that is none": (_nothing, (*ASK, "--deadline", "tomorrow"), 2, "2h, 30m"),
    "time beyond the calendar": (_nothing, (*ASK, "--deadline", "99999999999w"), 2, "not a time"),
    "time before the calendar": (_nothing, ("events", "--since", "9999999w"), 2, "not a time"),
    "priority out of range": (_nothing, (*ASK, "--priority", "101"), 2, "range"),
    "repository not named": (_two_repositories, (*ASK, "--wait"), 1, "Which repository?"),
    "digest that is none": (_staged, ("approve", 1, "approve-it", "--as", "lee"), 2, "at least 20 hex digits"),
    "digest too short": (_staged, ("approve", 1, "abc123", "--as", "lee"), 2, "at least 20 hex digits"),
    "digest of something else": (_staged, ("approve", 1, "0" * 64, "--as", "lee"), 5, "names no staged diff"),
    "rejecting what is approved": (_approved, ("reject", 1, "--as", "max"), 5, "approved"),
    "merging what is only staged": (_staged, ("merge", 1, "--as", "lee"), 5, "cannot be merged"),
    "undoing what is only staged": (_staged, ("undo", 1, "--as", "ana"), 5, "cannot be undone"),
    "merging without the right": (_published, ("merge", 1, "--as", "ana"), 3, "may be merged by lee, max"),
    "stopping somebody's task": (_staged, ("cancel", 1, "--as", "bo"), 3, "Ask ana"),
    "pausing as a member": (_nothing, ("pause", "--as", "ana"), 3, "ana is not a maintainer"),
    "resuming as a member": (_nothing, ("resume", "--as", "ana"), 3, "ana is not a maintainer"),
    "cancelling what is published": (_published, ("cancel", 1, "--as", "ana"), 5, "undo it"),
    "receipt of what has none": (_staged, ("show", 1, "--receipt"), 6, "never published"),
    "proof of what has none": (_staged, ("verify", 1), 6, "no receipt"),
    "proof from no clone": (_published, ("verify", 1, "--repo-path", "/nowhere"), 6, "not a git repository"),
    "newer database": (_newer, ("list",), 7, "Install the newer Countersign"),
    "remote that is gone": (_without_remote, (*ASK, "--wait"), 1, "Check its address in countersign.yaml"),
    "a home again": (_nothing, ("init", "--repo", "web=/x"), 5, "is already a Countersign home"),
    "restore over a home": (_nothing, ("restore", str(SCRIPT)), 5, "not empty"),
    "restore of nothing": (_nothing, ("restore", "/nowhere.tgz"), 2, "does not exist"),
    "backup into no folder": (_nothing, ("backup", "/nowhere/b.tgz"), 2, "/nowhere"),
    "backup over a file": (_nothing, ("backup", str(SCRIPT)), 5, "already exists"),
    "events of no task": (_nothing, ("events", "--task", "9"), 6, "no task #9"),
    "policy asked nothing": (_nothing, ("policy", "explain", "", "--as", "ana"), 2, "the request is empty"),
    "policy asked nonsense": (_nothing, ("policy", "explain", "sing", "--as", "ana"), 2, "do not understand"),
}


@pytest.mark.parametrize("name", CAUSES)
def test_a_cause_has_its_code_and_one_sentence_that_says_what_to_do(home: CliHome, name: str):
    prepare, words, code, part = CAUSES[name]
    prepare(home)
    said = home.call(*words, "--json") if words and "schema" not in words else home.call(*words)
    assert said.code == code, said
    assert part in said.sentence(), said
    if "--json" in said.argv and said.code == 2 and "frobnicate" not in said.argv:
        assert set(json.loads(said.out)) >= {"error"}


def test_help_of_every_command_is_printed_and_names_its_options(home: CliHome):
    from bot.cli.commands import countersign

    assert home.call("--help").code == 0
    assert home.call("--version").out.startswith("countersign, version ")
    for name in countersign.commands:
        said = home.call(name, "--help")
        assert (said.code, said.err) == (0, ""), said
        assert said.out.startswith(f"Usage: countersign {name}"), said


@pytest.mark.parametrize("words", [(), ("policy",)])
def test_a_command_line_without_a_command_prints_the_help(words):
    import subprocess

    done = subprocess.run([str(SCRIPT), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: countersign")
    assert "\nCommands:\n" in done.stderr


def test_a_decision_is_made_once_and_the_second_is_told_who_decided(home: CliHome):
    task = home.staged()
    digest = task["staged"]["digest"]
    assert home.call("approve", 1, digest, "--as", "ana").code == 3
    assert home.call("approve", 1, digest[:20].upper(), "--as", "lee", "--wait").code == 0
    second = home.call("approve", 1, digest, "--as", "max")
    assert second.code == 5
    assert "lee: approve" in second.sentence()


def test_an_approval_of_a_superseded_digest_is_stale(home: CliHome):
    first = home.staged()["staged"]["digest"]
    home.document("reply", 1, "set server.timeout to 45 in config/app.yaml", "--as", "ana", "--wait")
    said = home.call("approve", 1, first, "--as", "lee", "--json")
    assert (said.code, said.json()["error"]["code"]) == (5, "stale_digest")
    assert "revision 1" in said.sentence()


def test_tampering_with_the_branch_the_events_or_the_receipt_fails_the_proof(home: CliHome):
    task = home.published()
    assert home.call("verify", 1).code == 0
    branch = f"refs/heads/{task['pull_request']['branch']}"
    home.git("update-ref", branch, home.git("rev-parse", "main"))
    moved = home.call("verify", 1, "--json")
    assert (moved.code, _failed(moved)) == (1, ["branch"])
    home.git("update-ref", branch, task["pull_request"]["head"])
    with closing(sqlite3.connect(home.database)) as database, database:
        database.execute("DROP TRIGGER events_no_update")
        database.execute("UPDATE events SET person = 'max' WHERE person = 'lee'")
    rewritten = home.call("verify", 1, "--json")
    assert (rewritten.code, _failed(rewritten)) == (1, ["events"])


def _failed(said: Said) -> list[str]:
    return [check["name"] for check in said.json()["checks"] if check["verdict"] == "fail"]
