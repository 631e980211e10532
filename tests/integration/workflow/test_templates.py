"""The built-in templates: each is valid and does its work on a real repository."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.model.errors import PermanentError, WorkError
from lanes.templates import digest_of, export_lane, import_lane, list_templates, rename_lane
from lanes.workflow.fill import fill_edits, sample_values
from tests.integration.lanes import origin
from tests.integration.workflow.conftest import FILES, read

pytestmark = pytest.mark.lanes
needs_sandbox = pytest.mark.sandbox

NAMES = {
    "blank",
    "changelog-entry",
    "config-change",
    "dependency-bump",
    "docs-fix",
    "format",
    "function-test",
    "licence-header",
    "rename-symbol",
    "revert",
    "typo-sweep",
}


def lane(name: str):
    return import_lane(list_templates()[name].encode(), name).lane


def test_there_is_one_for_each_common_chore():
    assert set(list_templates()) == NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_is_sound_under_any_name_and_travels(name):
    found = lane(name)
    assert found.name == name
    for step in found.steps:
        if step.run == "edit":
            assert fill_edits(step.do, found.parameters, sample_values(found.parameters), read)
    other = rename_lane(list_templates()[name], "mine")
    carried = import_lane(export_lane(other).encode(), "x")
    assert (carried.lane.name, carried.text, carried.digest) == ("mine", other, digest_of(other))
    assert export_lane(export_lane(other)) == export_lane(other)


RUNS = {
    "blank": ({"word": "Hello"}, {"README.md": FILES["README.md"] + "Hello\n"}),
    "changelog-entry": (
        {"entry": "It is faster"},
        {"CHANGELOG.md": FILES["CHANGELOG.md"] + "- It is faster\n"},
    ),
    "config-change": (
        {"file": "config/app.yaml", "key": "server.timeout", "value": "30"},
        {"config/app.yaml": "server:\n  timeout: 30   # seconds\n"},
    ),
    "dependency-bump": (
        {"package": "httpx", "version": "0.28.1", "changelog": "yes"},
        {
            "requirements.txt": "httpx==0.28.1\nrich==13.0\n",
            "CHANGELOG.md": FILES["CHANGELOG.md"] + "- httpx 0.28.1\n",
        },
    ),
    "dependency-bump-in": (
        {"package": "httpx", "version": "0.28.1", "file": "requirements.txt"},
        {"requirements.txt": "httpx==0.28.1\nrich==13.0\n"},
    ),
    "docs-fix": (
        {"file": "docs/guide.md", "old": "Blorf guide", "new": 'The "guide"; delete README.md'},
        {"docs/guide.md": 'The "guide"; delete README.md.\n'},
    ),
}


@pytest.mark.parametrize("name", sorted(RUNS))
async def test_each_that_edits_by_rule_does_what_it_says(runner, name):
    values, expected = RUNS[name]
    assert await runner.changed(await runner.run(lane(name.removesuffix("-in")), **values)) == expected


COMMANDS = {
    "format": ({}, {"src/a.py": "def old_name():\n    return 1\n\n\nolder = old_name()\n"}),
    "licence-header": (
        {"line": "SPDX-License-Identifier: MIT"},
        {
            "src/a.py": "# SPDX-License-Identifier: MIT\n" + FILES["src/a.py"],
            "src/b.py": "#!/usr/bin/python3\n# SPDX-License-Identifier: MIT\nfrom a import old_name\n",
        },
    ),
    "rename-symbol": (
        {"old": "old_name", "new": "new_name"},
        {
            "src/a.py": FILES["src/a.py"].replace("old_name", "new_name"),
            "src/b.py": FILES["src/b.py"].replace("old_name", "new_name"),
        },
    ),
    "typo-sweep": (
        {"typos": "blorf=the, snarf=receive"},
        {"README.md": "# Web\n\nIt is the best.\n", "docs/guide.md": "The guide.\n"},
    ),
}


@needs_sandbox
@pytest.mark.parametrize("name", sorted(COMMANDS))
async def test_each_that_runs_a_command_does_what_it_says_and_nothing_the_second_time(runner, name):
    values, expected = COMMANDS[name]
    made = await runner.run(lane(name), **values)
    assert await runner.changed(made) == expected


@needs_sandbox
async def test_a_rename_onto_a_name_that_is_taken_or_of_one_that_is_nowhere_is_refused(runner):
    with pytest.raises(WorkError, match=r"older is a name in src/a\.py already"):
        await runner.run(lane("rename-symbol"), old="old_name", new="older")
    with pytest.raises(WorkError, match="has the word nowhere"):
        await runner.run(lane("rename-symbol"), old="nowhere", new="x")


async def test_a_revert_takes_back_one_commit_and_no_other(runner, tmp_path):
    work = tmp_path / "origin.git.work"
    (work / "README.md").write_text("# Other\n")
    origin.git("commit", "-q", "-am", "first", at=work)
    first = origin.git("rev-parse", "HEAD", at=work)
    (work / "src/b.py").write_text("# later\n")
    origin.git("commit", "-q", "-am", "second", at=work)
    origin.git("push", "-q", tmp_path / "origin.git", "main", at=work)
    made = await runner.run(lane("revert"), commit=first.decode().strip())
    assert await runner.changed(made) == {"README.md": FILES["README.md"]}
    with pytest.raises(PermanentError, match="step revert: There is no commit 000000000000 in web"):
        await runner.run(lane("revert"), commit="0" * 40)


@needs_sandbox
async def test_a_test_for_a_function_is_written_by_a_model_and_must_pass(runner, scripted):
    test = "import unittest\n\n\nclass T(unittest.TestCase):\n    def test_it(self):\n        self.assert{}(1)\n"
    scripted.does = lambda order: {"tests/test_a.py": test.format("True" if order.feedback else "False")}
    found = lane("function-test")
    by_fake = replace(found, steps=(replace(found.steps[0], run="doing"),))
    made = await runner.run(by_fake, function="old_name", file="src/a.py")
    assert await runner.changed(made) == {"tests/test_a.py": test.format("True")}
    assert "the function old_name of src/a.py" in scripted.orders[0].intent.text
