"""What `countersign lane` promises: files that are sound, exit codes, JSON, and nothing overwritten in silence."""

from __future__ import annotations

import gzip
import json
import tarfile
import zipfile

import pytest

from tests.homes import CliHome

pytestmark = pytest.mark.lanes

PARAMETERS = ("--set", "package=httpx", "--set", "version=0.28.1")


def add(home: CliHome, name: str, text: str, *, rule: bool = True) -> None:
    """A lane in the home and, with `rule`, the rule that lets members use it."""
    (home.root / "lanes" / f"{name}.yaml").write_text(text)
    if rule:
        said = f"  - name: {name}-changes\n    when: {{lane: {name}, from: [member, maintainer]}}\n"
        said += "    allow: {approvals: {count: 1, from: [maintainer]}, self_approve: false}\n"
        policy = home.root / "policy.yaml"
        policy.write_text(policy.read_text().replace("\nrules:\n", f"\nrules:\n{said}", 1))


def test_a_new_lane_is_sound_and_says_which_rule_is_missing(home):
    said = home.call("lane", "new", "bump", "--template", "dependency-bump")
    assert said.code == 0
    assert "No rule allows the lane bump" in said.out
    assert "when: {lane: bump, from: [member, maintainer]}" in said.out
    assert home.call("lane", "check").code == 0
    assert home.call("policy", "check").code == 0
    again = home.document("lane", "new", "bump", "--template", "docs-fix", code=5)
    assert again["error"]["code"] == "lane_exists"


def test_the_rule_that_it_says_is_one_that_opens_it(home):
    rule = home.document("lane", "new", "bump", "--template", "dependency-bump")["missing_rule"]
    policy = home.root / "policy.yaml"
    policy.write_text(policy.read_text().replace("\nrules:\n", f"\nrules:\n{rule}", 1))
    (row,) = [row for row in home.document("lane", "list") if row["name"] == "bump"]
    assert row["people"] == ["ana", "bo", "lee", "max"]
    assert row["parameters"] == ["package", "version", "file", "changelog"]


@pytest.mark.parametrize(
    ("name", "options", "code"),
    [("Bad Name", (), 2), ("../up", (), 2), ("x", ("--template", "nothing"), 6)],
)
def test_a_bad_name_or_template_leaves_nothing(home, name, options, code):
    before = sorted((home.root / "lanes").iterdir())
    said = home.call("lane", "new", name, *options)
    assert said.code == code
    assert said.sentence()
    assert sorted((home.root / "lanes").iterdir()) == before


def test_check_names_file_line_and_key(home, tmp_path):
    file = tmp_path / "odd.yaml"
    text = 'name: x\ndescribe: x\nwrite: ["**"]\nexecutor: workflow\nsteps:\n'
    file.write_text(text + "  - {name: a, run: edit, do: delete x.md, needs: [b]}\n")
    said = home.call("lane", "check", str(file))
    assert (said.code, f"{file}:6: steps[0].needs[0]" in said.sentence()) == (2, True)
    file.write_text(text + "  - {name: a, run: edit, do: make it nice}\n")
    said = home.call("lane", "check", str(file))
    assert (said.code, "steps[0].do" in said.sentence()) == (2, True)
    file.write_text(text + "  - {name: a, run: edit, do: delete x.md}\n")
    assert home.document("lane", "check", str(file))["lanes"][0]["steps"] == 1
    missing = home.document("lane", "check", str(tmp_path / "none.yaml"), code=6)
    assert missing["error"]["code"] == "no_such_file"


def test_what_is_exported_is_imported_as_it_was_and_shown(home, tmp_path):
    home.call("lane", "new", "bump", "--template", "dependency-bump")
    written = (home.root / "lanes" / "bump.yaml").read_text()
    exported = home.call("lane", "export", "bump").out
    (home.root / "lanes" / "bump.yaml").unlink()
    file = tmp_path / "elsewhere.yaml"
    file.write_text(exported)
    shown = home.document("lane", "import", str(file))
    assert shown["digest_was_named"] is True
    assert shown["writes"] == ["requirements*.txt", "requirements/**", "pyproject.toml", "package.json", "CHANGELOG.md"]
    assert shown["runs"][0] == "bump: edit bump {package} to {version}"
    assert "when: {lane: bump" in shown["missing_rule"]
    assert (home.root / "lanes" / "bump.yaml").read_text() == written
    assert home.document("lane", "export", "bump")["digest"] == shown["digest"]
    assert home.call("lane", "import", str(file)).code == 0, "the same again changes nothing"


def test_an_import_overwrites_nothing_in_silence_and_takes_nothing_that_was_changed(home, tmp_path):
    home.call("lane", "new", "bump", "--template", "dependency-bump")
    file = tmp_path / "x.yaml"
    file.write_text(home.call("lane", "export", "bump").out.replace("limits: {files: 5}", "limits: {files: 500}"))
    assert home.document("lane", "import", str(file), code=2)["error"]["code"] == "lane_digest"
    file.write_text(file.read_text().partition("\n")[2])
    assert home.document("lane", "import", str(file), code=5)["error"]["code"] == "lane_exists"
    assert "files: 5}" in (home.root / "lanes" / "bump.yaml").read_text()
    assert home.document("lane", "import", str(file), "--replace")["digest_was_named"] is False
    assert "files: 500}" in (home.root / "lanes" / "bump.yaml").read_text()


def test_an_import_from_a_pipe_and_of_no_lane(home):
    text = home.call("lane", "export", "format").out
    said = home.run("lane", "import", "-", stdin=text)
    assert said.code == 0, said
    assert "runs: format: command python3 -c" in said.out
    assert home.run("lane", "import", "-", stdin="a: [").code == 2


def test_search_finds_templates_and_lanes_by_any_word(home):
    names = [row["name"] for row in home.document("lane", "search")]
    assert "rename-symbol" in names
    assert "docs" in names
    found = home.document("lane", "search", "misspelt")
    assert [(row["name"], row["where"]) for row in found] == [("typo-sweep", "template")]
    assert home.document("lane", "search", "zzz") == []


LONG = """\
name: long
describe: several steps
write: ["**"]
executor: workflow
version: 3
steps:
  - {name: a, run: edit, do: delete README.md}
  - {name: b, run: command, command: ["true"], needs: [a], wall_s: 20}
  - {name: c, run: command, command: ["true"], wall_s: 5}
  - {name: look, run: approval}
  - {name: d, run: edit, do: delete CHANGELOG.md, needs: [b, c]}
limits: {wall_s: 60}
"""


def test_the_plan_shows_layers_and_the_critical_path(home):
    add(home, "long", LONG, rule=False)
    plan = home.document("lane", "plan", "long", "--took", "a=1.5", "--took", "d=2")
    assert plan["version"] == 3
    assert plan["layers"] == [
        {"steps": ["a", "c"], "approval": False},
        {"steps": ["b"], "approval": False},
        {"steps": ["look"], "approval": True},
        {"steps": ["d"], "approval": False},
    ]
    assert (plan["critical_path"], plan["critical_s"]) == (["a", "b", "look", "d"], 23.5)
    assert [step["name"] for step in plan["steps"] if step["measured"]] == ["a", "d"]
    words = home.call("lane", "plan", "long", "--took", "a=1.5").out
    assert "critical path (*): a → b → look → d\nat most 81.5 s; in sequence at most 86.5 s\n" in words
    assert "long, version 3: 5 steps, in 4 layers, one after the other\n" in words
    rows = [line.split(maxsplit=5) for line in words.splitlines()]
    assert ["1", "*", "a", "edit", "1.5", "s"] in rows
    assert ["c", "command", "at", "most", "5", "s"] in rows
    assert ["2", "*", "b", "command", "at", "most 20 s  after a"] in rows
    assert home.call("lane", "plan", "docs").code == 2
    assert home.call("lane", "plan", "nothing").code == 6
    assert home.call("lane", "plan", "long", "--took", "x=1").code == 2
    assert home.call("lane", "plan", "long", "--took", "a=soon").code == 2


def test_the_plan_says_of_a_person_what_explain_says_and_what_a_request_comes_to(home):
    add(home, "long", LONG)
    asked = ("--as", "ana", "--repo", "web")
    policy = home.document("lane", "plan", "long", *asked)["policy"]
    explained = home.document("policy", "explain", "whatever", "--lane", "long", *asked)
    assert policy == {key: explained[key] for key in policy}
    assert (policy["effect"], policy["rule"], policy["terms"]["count"]) == ("allow", "long-changes", 1)
    document = home.document("ask", "whatever", "--lane", "long", *asked)
    home.call("worker", "--drain")
    document = home.document("show", document["number"])
    assert [document[key] for key in ("lane", "rule", "reason")] == [policy[key] for key in ("lane", "rule", "reason")]
    assert home.call("lane", "plan", "long", *asked).out.endswith(f"policy: allow: {policy['reason']}\n")
    assert "policy" not in home.document("lane", "plan", "long")
    assert home.call("lane", "plan", "long", "--as", "mallory").code == 6


@pytest.mark.parametrize("columns", ["80", "200"])
def test_a_plan_fits_its_terminal_whatever_its_steps_are_called(home, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    longer = LONG.replace("name: b,", f"name: {'b' * 40},").replace("[b, c]", f"[{'b' * 40}, c]")
    add(
        home,
        "long",
        longer.replace("run: approval", "run: approval, do: 'is it well? " + "really " * 9 + "'"),
        rule=False,
    )
    lines = home.call("lane", "plan", "long").out.splitlines()
    assert max(map(len, lines)) <= int(columns)
    assert "bb…" not in "".join(lines)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--set", "package=httpx"), "needs the parameter version"),
        (("--set", "package=a b", "--set", "version=1.0"), "the parameter package is 'a b'"),
        ((*PARAMETERS, "--set", "colour=red"), "has no parameter 'colour'"),
        (("--set", "package"), "is not KEY=VALUE"),
        (("--set", "package=a", "--set", "package=b"), "set twice"),
    ],
)
def test_a_parameter_that_is_missing_or_wrong_is_named_and_makes_no_task(home, given, said):
    home.call("lane", "new", "bump", "--template", "dependency-bump")
    answer = home.call("ask", "bump it", "--lane", "bump", "--as", "ana", *given)
    assert answer.code == 2
    assert said in answer.sentence()
    assert home.document("list") == []


def test_a_parameter_of_no_lane_is_nobodys(home):
    answer = home.call("ask", "bump it", "--set", "package=httpx", "--as", "ana")
    assert (answer.code, "--lane" in answer.sentence()) == (2, True)


def test_json_errors_are_one_document(home):
    said = home.call("lane", "export", "nothing", "--json")
    assert (said.code, json.loads(said.out)["error"]["code"]) == (6, "no_such_lane")


def files(home: CliHome) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (home.root / "lanes").iterdir()}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("new", "a" * 41), 2, "is not a lane name"),
        (("new", "x", "--template", "../docs"), 6, "There is no template '../docs'"),
        (("check", "."), 2, "is a directory"),
        (("export", "a" * 300), 6, "no lane or template is called"),
        (("export", "docs/../docs"), 6, "no lane or template is called"),
        (("export", ""), 6, "no lane or template is called ''"),
        (("import", "none.yaml"), 6, "the file none.yaml does not exist"),
        (("import", "/dev/null"), 2, "the file is empty"),
        (("import", "/dev/zero"), 2, "is larger than"),
        (("plan", "a" * 300), 6, "no lane or template is called"),
        (("plan", "dependency-bump", "--took", "bump=nan"), 2, "'nan' is not a number of seconds"),
        (("plan", "dependency-bump", "--took", "bump"), 2, "is not KEY=VALUE"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else None,
)
def test_what_cannot_be_is_one_sentence_and_changes_nothing(home, words, code, said):
    before = files(home)
    answer = home.call("lane", *words)
    assert (answer.code, said in answer.sentence()) == (code, True), answer
    assert home.document("lane", *words, code=code)["error"]["message"]
    assert files(home) == before


SOUND = 'name: odd\ndescribe: x\nwrite: ["**"]\nexecutor: workflow\nsteps:\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: [", ":2: is not valid YAML"),
        (SOUND + "  - {name: a, run: edit, do: x, needs: [b]}\n  - {name: b, run: edit, do: x, needs: [a]}\n",
         ":6: steps[0].needs: the steps need each other in a cycle: a → b → a"),
        (SOUND + "  - {name: a, run: edit, do: delete {where}.md}\n", ":6: is not valid YAML"),
        (SOUND + "  - {name: a, run: edit, do: 'delete {where}'}\n", ":6: steps[0].do: there is no parameter 'where'"),
        (SOUND.replace("odd", "../odd") + "  - {name: a, run: edit, do: delete x.md}\n", "'../odd' is not a lane"),
        (SOUND + "  - {name: a, run: edit, do: delete x.md, wall_s: 3}\n", ":6: steps[0].wall_s"),
        (SOUND.replace('"**"', '"../**"') + "  - {name: a, run: edit, do: delete x.md}\n", ":3: write[0]"),
        (SOUND + "  - &a {name: a, run: edit, do: delete x.md}\n  - *a\n", ":6"),
        ("models: [nowhere/x]\n" + SOUND + "  - {name: a, run: ollama, do: x}\n", "no endpoint is called 'nowhere'"),
        ("\xff", "is not UTF-8"),
    ],
    ids=range(10),
)  # fmt: skip
def test_what_is_no_lane_is_refused_with_file_and_line_and_leaves_the_home_as_it_was(home, tmp_path, text, said):
    file = tmp_path / "odd.yaml"
    file.write_bytes(text.encode("latin-1" if text == "\xff" else "utf-8"))
    before = files(home)
    answer = home.call("lane", "import", str(file))
    assert (answer.code, said in answer.sentence()) == (2, True), answer
    assert str(file) in answer.sentence()
    assert files(home) == before
    assert home.call("lane", "check").code == 0, "the home is as sound as before"


def test_a_lane_that_the_home_cannot_take_leaves_the_one_it_would_replace(home, tmp_path):
    home.call("lane", "new", "odd")
    file = tmp_path / "odd.yaml"
    file.write_text("models: [nowhere/x]\n" + SOUND + "  - {name: a, run: ollama, do: x}\n")
    before = files(home)
    refused = home.document("lane", "import", str(file), "--replace", code=2)["error"]
    assert (refused["code"], "was not added" in refused["message"]) == ("lane_refused", True)
    assert files(home) == before


@pytest.mark.parametrize("kind", ["zip", "gz", "tar"])
def test_an_archive_is_refused_and_never_unpacked(home, tmp_path, kind):
    inside = (SOUND + "  - {name: a, run: edit, do: delete x.md}\n").encode()
    file = tmp_path / f"odd.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("../../../outside.yaml", inside)
            archive.writestr("bomb.yaml", b"a" * 50_000_000)
    elif kind == "gz":
        file.write_bytes(gzip.compress(inside * 100_000))
    else:
        with tarfile.open(file, "w") as tar:
            link = tarfile.TarInfo("lane.yaml")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(link)
    before = files(home)
    refused = home.document("lane", "import", str(file), code=2)["error"]
    assert (refused["code"], "is an archive" in refused["message"]) == ("lane_archive", True)
    assert files(home) == before
    assert not list(tmp_path.rglob("outside.yaml"))


def test_a_wrong_type_of_a_parameter_is_named_with_how_it_is_said(home):
    text = SOUND.replace("odd", "typed").replace(
        "steps:\n",
        "parameters:\n  many: {type: integer}\n  flag: {type: boolean}\n  file: {type: path}\n"
        "  kind: {type: choice, choices: [minor, major]}\n  v: {type: version}\n"
        "steps:\n",
    )
    add(
        home,
        "typed",
        text + "  - {name: a, run: command, command: [echo, '{many}', '{flag}', '{file}', '{kind}', '{v}']}\n",
    )
    right = {"many": "3", "flag": "yes", "file": "a/b.md", "kind": "minor", "v": "1.2"}
    for name, wrong in (
        ("many", "3.5"),
        ("flag", "maybe"),
        ("file", "../x"),
        ("kind", "patch"),
        ("v", "new"),
        ("many", ""),
    ):
        words = [word for key, value in (right | {name: wrong}).items() for word in ("--set", f"{key}={value}")]
        answer = home.call("ask", "do it", "--lane", "typed", "--as", "ana", *words)
        assert (answer.code, f"the parameter {name} " in answer.sentence()) == (2, True), answer
        assert f"--set {name}=" in answer.sentence()
    assert home.document("list") == []
