"""A lane or policy that is tightened after staging holds for every executor, at each step that follows (guard 8)."""

from __future__ import annotations

import re

import pytest

from tests.homes import FILES, CliHome

pytestmark = pytest.mark.law

SCRIPT = (
    "import pathlib; p = pathlib.Path('src'); p.mkdir(exist_ok=True); "
    "(p / 'x.txt').write_text('hi'); (p / 'y.txt').write_text('ho')"
)


def protect(home: CliHome) -> None:
    policy = home.root / "policy.yaml"
    said = re.sub(r"^protect:.*\n(?:  .*\n)*", "", policy.read_text(), flags=re.MULTILINE)
    policy.write_text(said.replace("\nrules:\n", '\nprotect: ["src/x.txt"]\nrules:\n', 1))


def change_lane(home: CliHome, old: str, new: str) -> None:
    lane = home.root / "lanes" / "scripted.yaml"
    text = lane.read_text()
    assert old in text
    lane.write_text(text.replace(old, new))


TIGHTENED = {
    "a glob that protects": (protect, "src/x.txt"),
    "a narrower write": (lambda home: change_lane(home, '["src/**"]', '["src/y.txt"]'), "src/x.txt"),
    "fewer files": (lambda home: change_lane(home, "files: 100", "files: 1"), "2 files, at most 1 allowed"),
    "fewer bytes": (lambda home: change_lane(home, "bytes: 1000000", "bytes: 3"), "at most 3 allowed"),
}


@pytest.fixture
def scripted(home: CliHome) -> CliHome:
    home.scripted(SCRIPT)
    return home


@pytest.mark.parametrize("case", TIGHTENED)
def test_guard_08_it_holds_for_a_command_lane_at_the_click(scripted, case):
    tighten, why = TIGHTENED[case]
    task = scripted.staged("run it", lane="scripted")
    tighten(scripted)
    assert scripted.call("policy", "check").code == 0
    refused = scripted.document("approve", task["number"], task["staged"]["digest"], "--as", "lee", code=3)
    assert why in refused["error"]["message"], refused
    assert scripted.document("show", task["number"])["state"] == "staged"


@pytest.mark.parametrize("case", TIGHTENED)
def test_guard_08_it_holds_for_a_command_lane_at_publishing_and_merging(scripted, case):
    tighten, why = TIGHTENED[case]
    task = scripted.staged("run it", lane="scripted")
    approved = scripted.document("approve", task["number"], task["staged"]["digest"], "--as", "lee")
    assert approved["state"] == "approved"
    lanes = (scripted.root / "lanes" / "scripted.yaml").read_text()
    policy = (scripted.root / "policy.yaml").read_text()
    tighten(scripted)
    assert scripted.call("worker", "--drain").code == 0
    fallen = scripted.document("show", task["number"])
    assert (fallen["state"], fallen["pull_request"]) == ("staged", None)
    assert why in fallen["error"]["message"], fallen

    (scripted.root / "lanes" / "scripted.yaml").write_text(lanes)
    (scripted.root / "policy.yaml").write_text(policy)
    again = scripted.document("approve", task["number"], task["staged"]["digest"], "--as", "lee", "--wait")
    assert again["state"] == "published", again
    main = scripted.git("rev-parse", "main")
    tighten(scripted)
    merged = scripted.call("merge", task["number"])
    assert merged.code != 0
    assert why in merged.err, merged
    assert scripted.git("rev-parse", "main") == main


def test_what_merges_is_what_was_countersigned(home: CliHome):
    """Others change another file, then the same one: the first merge is made, the second is not, though git could."""
    text = 'replace "- first" with "- the first" in CHANGELOG.md'
    first, second = home.published(), home.published(text)
    home.commit({"src/a.py": "print(2)\n"})
    assert home.document("merge", first["number"])["state"] == "merged"
    assert home.call("verify", first["number"]).code == 0

    main = home.commit({"CHANGELOG.md": FILES["CHANGELOG.md"].replace("# Changelog", "# All changes")})
    refused = home.call("merge", second["number"])
    assert refused.code == 5, refused
    assert "CHANGELOG.md was changed there since it was approved" in refused.err
    assert home.git("rev-parse", "main") == main

    again = home.document("reply", second["number"], f"start over: {text}", "--as", "ana", "--wait")
    home.document("approve", again["number"], again["staged"]["digest"], "--as", "lee", "--wait")
    assert home.document("merge", second["number"])["state"] == "merged"
    assert home.git("show", "main:CHANGELOG.md").startswith("# All changes")
