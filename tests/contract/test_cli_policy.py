"""The tools of policy: cases, reverse questions, comparison, and past tasks decided again."""

from __future__ import annotations

import pytest

from tests.homes import CliHome

pytestmark = pytest.mark.law

EDIT = "set server.timeout to {} in config/app.yaml"
CASES = """version: 1
cases:
  - name: settings
    ask: {as: ana, repo: web, paths: [config/app.yaml]}
    expect: {effect: allow, lane: config, rule: config-changes, approvals: 1, approvers: [max, lee]}
  - name: workflows
    ask: {as: lee, repo: web, paths: [.github/workflows/test.yml], edits: unknown}
    expect: {effect: deny}
"""


@pytest.fixture
def stricter(home: CliHome):
    """A proposed policy: two approvals for settings, and none may change docs/private."""
    file = home.folder / "stricter.yaml"
    text = (home.root / "policy.yaml").read_text()
    before, rule, rest = text.partition("- name: config-changes")
    text = before + rule + rest.replace("count: 1", "count: 2", 1)
    file.write_text(text.replace("\nrules:\n", '\nprotect: ["docs/private/**"]\nrules:\n', 1))
    return file


# ---------------------------------------------------------------------------------------------------- cases


def test_cases_that_are_decided_as_the_file_says_pass(home: CliHome):
    (home.root / "policy_tests.yaml").write_text(CASES)
    said = home.document("policy", "test")
    assert [(case["name"], case["passed"]) for case in said["cases"]] == [("settings", True), ("workflows", True)]
    assert said["coverage"] == {"percent": 33, "required": 0, "unreached": ["docs-changes", "code-changes"]}


def test_a_case_that_is_decided_otherwise_is_named_with_its_line_and_the_reason(home: CliHome):
    file = home.folder / "cases.yaml"
    file.write_text(CASES.replace("approvals: 1", "approvals: 2"))
    said = home.run("policy", "test", "--cases", file)
    assert said.code == 1
    assert f"{file}:3: settings\n  approvals is 1, not 2\n  because " in said.out
    assert "1 of 2 cases are decided as expected." in said.out


def test_too_few_reached_rules_are_a_failure(home: CliHome):
    (home.root / "policy_tests.yaml").write_text(CASES.replace("version: 1", "version: 1\ncoverage: 34"))
    said = home.run("policy", "test")
    assert said.code == 1
    assert "That is 33%; policy_tests.yaml requires 34%." in said.out


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (("as: ana", "as: zoe"), "cases[0].ask.as: there is no person called 'zoe'"),
        (("repo: web", "repo: wep"), "cases[0].ask.repo: there is no repository called 'wep'"),
        (("name: workflows", "name: settings"), "cases[1].name: another case is called 'settings'"),
        (("effect: deny", "effect: maybe"), "cases[1].expect.effect"),
        (("paths: [config", "path: [config"), "cases[0].ask.path: unknown key"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_line(home: CliHome, wrong, sentence):
    (home.root / "policy_tests.yaml").write_text(CASES.replace(wrong[0], wrong[1], 1))
    said = home.run("policy", "test")
    assert said.code == 2
    assert sentence in said.err


def test_a_past_decision_is_recorded_once_and_passes(home: CliHome):
    home.staged(EDIT.format(30))
    assert home.run("policy", "test").code == 2, "there is no file yet"
    assert home.document("policy", "test", "--record", 1)["cases"][0]["passed"]
    content = (home.root / "policy_tests.yaml").read_bytes()
    again = home.run("policy", "test", "--record", 1)
    assert again.code == 2
    assert "another case is called" in again.err
    assert (home.root / "policy_tests.yaml").read_bytes() == content


# ---------------------------------------------------------------------------------------------------- reverse questions


def test_who_may_change_a_path_and_who_must_approve_it(home: CliHome):
    said = home.document("policy", "who", "config/app.yaml")
    rows = {row["lane"]: row for row in said["lanes"]}
    assert set(rows) == {"config", "code"}
    assert rows["config"]["rule"] == "config-changes"
    assert rows["config"]["approvals"] == 1
    assert "ana" in rows["config"]["people"]
    assert "lee" in rows["config"]["approvers"]


def test_a_path_that_no_one_may_change_is_said_with_the_reason(home: CliHome):
    said = home.run("policy", "who", ".github/workflows/test.yml")
    assert said.code == 0
    assert said.out.startswith("No one may change .github/workflows/test.yml.\n")
    assert "may not be changed in any lane" in said.out


def test_a_path_outside_the_repository_is_refused(home: CliHome):
    said = home.run("policy", "who", "../secrets")
    assert said.code == 2
    assert "'..' part" in said.err


def test_what_a_person_may_ask_for_approve_and_merge(home: CliHome):
    ana, lee = (home.document("policy", "can", person) for person in ("ana", "lee"))
    assert [row["lane"] for row in ana["lanes"]] == ["code", "config", "docs"]
    assert ana["approves"] == ana["merges"] == []
    assert lee["approves"] == lee["merges"] == ["code", "config", "docs"]
    assert home.run("policy", "can", "zoe").code == 6
    assert home.run("policy", "can", "ana", "--repo", "nowhere").code == 2


# ---------------------------------------------------------------------------------------------------- comparison


def test_a_policy_does_not_differ_from_itself_whatever_its_comments(home: CliHome):
    same = home.folder / "same.yaml"
    same.write_text("# a comment\n" + (home.root / "policy.yaml").read_text())
    assert home.document("policy", "diff", "--policy", same)["changes"] == []
    assert home.document("policy", "diff", "--policy", home.root)["changes"] == []


def test_each_kind_of_request_that_is_decided_otherwise_has_a_witness(home: CliHome, stricter):
    changes = home.document("policy", "diff", "--policy", stricter)["changes"]
    outcomes = {
        (change["before"]["effect"], change["after"]["effect"], change["before"]["lane"], change["after"]["lane"])
        for change in changes
    }
    assert ("allow", "allow", "config", "config") in outcomes
    assert {change["paths"][0].lower() for change in changes if change["after"]["effect"] == "deny"} == {"docs/private"}
    for change in changes:
        witness = change["paths"][:1]
        asked = ["policy", "who", *witness]
        assert not witness or home.call(*asked).code == 0


def test_a_proposal_with_a_mistake_is_named_with_its_line(home: CliHome, stricter):
    stricter.write_text(stricter.read_text() + "\nrulez: []\n")
    for tool in ("diff", "replay"):
        said = home.run("policy", tool, "--policy", stricter)
        assert said.code == 2
        assert "rulez: unknown key" in said.err


# ---------------------------------------------------------------------------------------------------- past tasks


def test_past_tasks_are_decided_again_and_nothing_is_written(home: CliHome, stricter):
    home.staged(EDIT.format(30))
    home.document("ask", "set a to 1 in .github/x.yaml", "--repo", "web", "--as", "ana", "--wait", code=3)
    home.document("ask", "set a to 1 in docs/private/x.json", "--repo", "web", "--as", "ana", "--wait", code=6)
    before = home.document("list")
    said = home.document("policy", "replay", "--policy", stricter)
    assert said["counts"] | {"same": 0} == {**dict.fromkeys(said["counts"], 0), "other_approvals": 1, "newly_denied": 1}
    found = {row["task"]: row for row in said["decisions"]}
    assert (found[1]["before"]["terms"]["count"], found[1]["after"]["terms"]["count"]) == (1, 2)
    assert "docs/private" in found[3]["reason"]
    assert home.document("list") == before
    out = home.run("policy", "replay", "--policy", stricter).out
    assert "#1 set server.timeout to 30 in config/app.yaml, by ana: 1 of maintainer, now 2 of maintainer" in out


def test_what_a_removed_person_asked_is_undecidable(home: CliHome):
    home.staged(EDIT.format(30))
    folder = home.folder / "proposed"
    folder.mkdir()
    for name in ("countersign.yaml", "policy.yaml"):
        (folder / name).write_text((home.root / name).read_text())
    (folder / "lanes").mkdir()
    for lane in (home.root / "lanes").glob("*.yaml"):
        (folder / "lanes" / lane.name).write_text(lane.read_text())
    config = folder / "countersign.yaml"
    config.write_text("".join(line for line in config.read_text().splitlines(keepends=True) if '"ana":' not in line))
    said = home.document("policy", "replay", "--policy", folder)
    assert said["counts"]["undecidable"] == 1
    assert "ana is not in countersign.yaml any more" in said["decisions"][0]["reason"]
