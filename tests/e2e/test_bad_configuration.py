"""A broken policy.yaml, countersign.yaml or lane: file, line and key are named, and nothing runs on a guess."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.homes import CliHome

ASK = ("ask", "set server.timeout to 30 in config/app.yaml", "--as", "ana")
COMMANDS = (ASK, ("list",), ("policy", "check"), ("worker", "--drain"), ("serve",))

POLICY = {
    "unknown key": ("\nrulez: []\n", "rulez: unknown key. Did you mean 'rules'?"),
    "key twice": ("\nversion: 1\n", "version: appears twice"),
    "anchor": ("\nprotect: &x [a]\n", "has the anchor &x"),
    "tab": ("\n\tprotect: []\n", "is not valid YAML"),
    "open bracket": ("\nprotect: [a\n", "is not valid YAML"),
    "deep": ("\nprotect: " + "[" * 3000, "is nested deeper"),
    "NUL": ("\x00", "hidden character U+0000"),
    "override of direction": ("\n# \u202e\n", "hidden character U+202E"),
    "second document": ("\n---\nversion: 1\n", "policy.yaml:"),
    "yes for true": ("\n  - name: x\n    when: {lane: yes}\n    deny: no\n", "policy.yaml:"),
    "unknown lane": ("\n  - name: x\n    when: {lane: lane-x, from: [member]}\n    deny: 'no'\n", "lane-x"),
    "unknown role": ("\n  - name: x\n    when: {lane: docs, from: [king]}\n    deny: 'no'\n", "king"),
    "rule twice": (
        "\n  - name: docs-changes\n    when: {lane: docs, from: [member]}\n    deny: 'no'\n",
        "docs-changes",
    ),
}


@pytest.mark.parametrize("name", POLICY)
def test_a_broken_policy_stops_every_command_with_its_line(home: CliHome, name: str):
    more, part = POLICY[name]
    policy = home.root / "policy.yaml"
    before = home.database.read_bytes()
    policy.write_text(policy.read_text().rstrip("\n") + more)
    for words in COMMANDS:
        said = home.call(*words)
        assert said.code == 2, said
        assert said.sentence().startswith(f"countersign: {policy}"), said
        assert part in said.sentence(), said
    assert home.database.read_bytes() == before
    assert home.call("doctor", "--json").code == 1


FILES = {
    "countersign.yaml": [
        (b"", "the file is empty"),
        (b"\xff\xfev\x00e\x00", "byte order mark"),
        (b"\xe9", "UTF-8"),
        (b"version: 2\n", "version"),
        (b"version: 1\nrepositories: {web: {url: /x}}\n", "people"),
        (
            b"version: 1\nrepositories: {}\npeople: {}\ndatabase: mysql://x\n",
            "database: must be sqlite or postgresql://",
        ),
        (b"version: 1\nrepositories: {}\npeople: {}\ndatabase: postgresql://u:secret@h/d\n", "contains a password"),
        (b"version: 1\nrepositories: {'../x': {url: /x}}\npeople: {}\n", "plain name"),
        (b"version: 1\nrepositories: {}\npeople: {ana: {roles: member}}\n", "roles"),
        (b"version: 1\nrepositories: {}\npeople: {}\nworker: {lease_s: 1}\n", "worker.lease_s"),
        (b"a" * 1_000_001, "larger than"),
    ],
    "lanes/docs.yaml": [
        (b"", "the file is empty"),
        (b"name: other\ndescribe: x\nwrite: ['a']\nexecutor: edit\n", "name"),
        (b"name: docs\ndescribe: x\nwrite: []\nexecutor: edit\n", "write"),
        (b"name: docs\ndescribe: x\nwrite: ['../a']\nexecutor: edit\n", "write"),
        (b"name: docs\ndescribe: x\nwrite: ['a']\nexecutor: command\n", "command"),
        (b"name: docs\ndescribe: x\nwrite: ['a']\nexecutor: edit\nlimits: {files: 0}\n", "limits.files"),
    ],
}


@pytest.mark.parametrize(("name", "content", "part"), [(n, *case) for n, cases in FILES.items() for case in cases])
def test_a_broken_file_is_named(home: CliHome, name: str, content: bytes, part: str):
    (home.root / name).write_bytes(content)
    for words in (ASK, ("policy", "check")):
        said = home.call(*words)
        assert said.code == 2, said
        assert said.sentence().startswith(f"countersign: {home.root / name}"), said
        assert part in said.sentence(), said
        assert "secret" not in said.err


@pytest.mark.parametrize("name", ["policy.yaml", "countersign.yaml"])
def test_a_file_that_is_missing_or_a_folder_is_named(home: CliHome, name: str):
    file = home.root / name
    file.unlink()
    said = home.call("list")
    assert said.code == 2
    assert "countersign init" in said.sentence()
    file.mkdir()
    assert home.call("list").code == 2


def test_no_home_at_all_says_how_to_make_one(tmp_path: Path):
    home = CliHome(tmp_path)
    for words in (("list",), ASK, ("worker",), ("migrate",), ("backup", tmp_path / "x")):
        said = home.call(*words)
        assert said.code == 2, said
        assert "countersign init --repo" in said.sentence()
    assert home.call("doctor").code == 1
    assert list(tmp_path.iterdir()) == [], "looking makes nothing"


def test_a_policy_broken_while_serving_leaves_the_last_good_one_in_force(home: CliHome):
    server = home.start("serve")
    assert server.stderr is not None
    assert server.stderr.readline().startswith(b"countersign: serving ")
    policy = home.root / "policy.yaml"
    good = policy.read_text()
    policy.write_text(f"{good}\nrulez: []\n")
    said = b""
    while b"configuration_refused" not in said:
        said = server.stderr.readline()
        assert server.poll() is None
    assert b"rulez" in said
    policy.write_text(good)
    assert home.document(*ASK, "--wait")["state"] == "staged"
    server.send_signal(signal.SIGTERM)
    server.communicate(timeout=30)
    assert server.returncode == 0
