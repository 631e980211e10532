"""The keys of a workflow's file: every error names its file, line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.model.errors import ConfigError
from core.model.lane import Lane
from lanes.registry import load_lane

pytestmark = pytest.mark.lanes

HEAD = """\
name: bump
describe: bumps
write: ["**"]
executor: workflow
version: 2
"""
GOOD = (
    HEAD
    + """\
parameters:
  package: {type: string, describe: its name, pattern: "[a-z]+"}
  major: {type: boolean, default: false}
  part: {type: choice, choices: [a, b], default: b}
  count: {type: integer, default: 3}
checks:
  - {name: tests, command: ["true"]}
steps:
  - {name: bump, run: edit, do: "bump {package} to 1.0"}
  - {name: shape, run: command, command: [tool, "{count}"], needs: [bump], when: "{major} and {part} == a", cache: true}
  - {name: look, run: approval, do: look at it}
  - name: fix
    run: ollama
    do: "mend {package}"
    needs: [shape, look]
    writes: ["src/**"]
    checks: [tests]
    retries: 2
  - {name: test, run: check, command: ["true"], env: {NAME: "{package}"}, needs: [fix]}
"""
)


def lane_in(tmp_path: Path, text: str) -> Lane:
    path = tmp_path / "bump.yaml"
    path.write_text(text)
    return load_lane(path)


def test_a_workflow_is_read_whole(tmp_path):
    lane = lane_in(tmp_path, GOOD)
    assert lane.version == 2
    assert [(each.name, each.type, each.default) for each in lane.parameters] == [
        ("package", "string", None),
        ("major", "boolean", "false"),
        ("part", "choice", "b"),
        ("count", "integer", "3"),
    ]
    assert [(step.name, step.run, step.cache) for step in lane.steps] == [
        ("bump", "edit", True),
        ("shape", "command", True),
        ("look", "approval", False),
        ("fix", "ollama", False),
        ("test", "check", False),
    ]
    assert lane.steps[3].checks == ("tests",)
    assert lane.steps[4].environment == (("NAME", "{package}"),)


def steps(*lines: str, before: str = "") -> str:
    return HEAD + before + "steps:\n" + "".join(f"  - {{{line}}}\n" for line in lines)


A = "name: a, run: edit, do: delete x.md"
WRONG = {
    "no steps": (HEAD, "executor", 4, "needs the key `steps`"),
    "steps of another executor": (steps(A).replace("executor: workflow", "executor: edit"), "steps", 6, "workflow"),
    "a circle": (
        steps("name: a, run: edit, do: delete x.md, needs: [b]", "name: b, run: edit, do: delete y.md, needs: [a]"),
        "steps[0].needs",
        7,
        "a → b → a",
    ),
    "a need of itself": (steps("name: a, run: edit, do: delete x.md, needs: [a]"), "steps[0].needs[0]", 7, "itself"),
    "an unknown need": (
        steps(A, "name: b, run: edit, do: x, needs: [c]"),
        "steps[1].needs[0]",
        8,
        "no step called 'c'",
    ),
    "one name twice": (steps(A, A), "steps[1].name", 8, "two steps are called a"),
    "a bad name": (steps("name: A b, run: edit, do: x"), "steps[0].name", 7, "not a step name"),
    "an unused parameter": (
        steps(A, before="parameters:\n  left: {}\n"),
        "parameters.left",
        7,
        "no step uses this parameter",
    ),
    "an unknown parameter": (steps('name: a, run: edit, do: "delete {file}"'), "steps[0].do", 7, "no parameter 'file'"),
    "an unknown one in a condition": (
        steps('name: a, run: edit, do: x, when: "{f}"'),
        "steps[0].when",
        7,
        "no parameter 'f'",
    ),
    "a bad condition": (steps('name: a, run: edit, do: x, when: "a and"'), "steps[0].when", 7, "ends too early"),
    "an unknown one in a command": (
        steps('name: a, run: command, command: [x, "{f}"]'),
        "steps[0].command[1]",
        7,
        "no parameter 'f'",
    ),
    "an edit without words": (steps("name: a, run: edit"), "steps[0].run", 7, "needs the key `do`"),
    "a command without one": (steps("name: a, run: command"), "steps[0].run", 7, "needs the key `command`"),
    "a key of another kind": (
        steps("name: a, run: edit, do: x, env: {A: b}"),
        "steps[0].env",
        7,
        "does not have this key",
    ),
    "a check that writes": (
        steps('name: a, run: check, command: ["true"], writes: ["**"]'),
        "steps[0].writes",
        7,
        "does not have this key",
    ),
    "a workflow within": (steps("name: a, run: workflow, do: x"), "steps[0].run", 7, "inside a workflow"),
    "an unknown check": (steps("name: a, run: ollama, do: x, checks: [t]"), "steps[0].checks[0]", 7, "no check 't'"),
    "checked work that is kept": (
        steps("name: a, run: ollama, do: x, checks: [t], cache: true", before="checks: [{name: t, command: [x]}]\n"),
        "steps[0].cache",
        8,
        "cannot be cached",
    ),
    "a floating glob": (
        steps('name: a, run: edit, do: x, writes: ["src/"]'),
        "steps[0].writes[0]",
        7,
        "ends with a slash",
    ),
    "an approval of nothing": (steps("name: o, run: approval", A), "steps[0]", 7, "above the approval o"),
    "an approval before nothing": (steps(A, "name: o, run: approval"), "steps[1]", 8, "below the approval o"),
    "a need beyond an approval": (
        steps("name: a, run: edit, do: x, needs: [b]", "name: o, run: approval", "name: b, run: edit, do: x"),
        "steps[0].needs[0]",
        7,
        "runs after an approval",
    ),
    "a default that is none": (
        steps('name: a, run: edit, do: "x {num}"', before="parameters:\n  num: {type: integer, default: x}\n"),
        "parameters.num.default",
        7,
        "not a whole number",
    ),
    "a bad pattern": (
        steps('name: a, run: edit, do: "x {num}"', before='parameters:\n  num: {pattern: "(?=x)"}\n'),
        "parameters.num.pattern",
        7,
        "is not a valid pattern: invalid perl operator: (?=.",
    ),
    "a choice without choices": (
        steps('name: a, run: edit, do: "x {num}"', before="parameters:\n  num: {type: choice}\n"),
        "parameters.num",
        7,
        "choice",
    ),
    "a variable of the linker": (
        steps("name: a, run: command, command: [x], env: {LD_PRELOAD: z}"),
        "steps[0].env.LD_PRELOAD",
        7,
        "not a variable name",
    ),
    "an unknown key": (steps("name: a, run: edit, do: x, need: [b]"), "steps[0].need", 7, "unknown key"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_told_with_file_line_and_key(tmp_path, case):
    text, key, line, said = WRONG[case]
    with pytest.raises(ConfigError) as caught:
        lane_in(tmp_path, text)
    told = caught.value
    assert said in told.problem.sentence()
    assert (told.path, told.line) == (str(tmp_path / "bump.yaml"), line), told.problem.message
    assert told.key.startswith(key), told.key


@pytest.mark.parametrize(
    "line",
    ["name: x, run: nosuch, command: [a]", "name: x, run: nosuch", "name: x, run: shell, command: [a], do: it"],
)
def test_lanes_11_an_unknown_executor_of_a_step_is_named_with_those_there_are(tmp_path, line):
    with pytest.raises(ConfigError) as caught:
        lane_in(tmp_path, steps(line))
    name = "shell" if "shell" in line else "nosuch"
    assert (
        f": there is no executor {name}; there are: agent, aider, approval, check, claude-code, codex, command, edit"
        in str(caught.value)
    )
    assert "Delete" not in str(caught.value)
    assert caught.value.key == "steps[0].run"


def test_lanes_11_an_unknown_executor_of_a_lane_is_named_too(tmp_path):
    with pytest.raises(ConfigError, match="there is no executor nosuch; there are: agent, aider, claude-code"):
        lane_in(tmp_path, 'name: bump\ndescribe: x\nwrite: ["**"]\nexecutor: nosuch\ncommand: ["x"]\n')


def test_lanes_11_the_names_that_are_told_are_those_there_are(tmp_path):
    from lanes.executors.names import BUILT_IN, STEPS
    from lanes.models.registry import ModelRegistry
    from lanes.sandbox import find_bwrap
    from lanes.wiring import ExecutorResources, build_executors
    from lanes.workflow.keys import _ALLOWED_KEYS
    from tests.fakes.admission import MemoryAdmission

    sandbox = find_bwrap()
    made = build_executors(
        ExecutorResources(tmp_path, lambda _kind: sandbox, ModelRegistry({}, MemoryAdmission()).model_for)
    )
    assert frozenset(made) == BUILT_IN
    assert frozenset(_ALLOWED_KEYS) - BUILT_IN <= STEPS
    problem = made["workflow"].unavailable(lane_in(tmp_path, steps("name: x, run: shout, do: it")))
    assert problem is not None
    assert problem.message.startswith("The step x: there is no executor shout; there are: agent,")
