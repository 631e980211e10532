"""Parses and validates the ``parameters`` and ``steps`` of a lane file, with the line of every error."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import Field

from core.model.errors import UsageError
from core.model.workflow import (
    APPROVAL,
    CHECK,
    COMMAND,
    EDIT,
    REVERT,
    WORKFLOW,
    Parameter,
    WorkflowStep,
    matches,
    parts_of,
)
from core.strict_yaml import StrictModel, Word, YamlDocument
from core.strict_yaml.document import KeyPath
from lanes.executors.names import STEPS, unknown_executor_message
from lanes.workflow import condition
from lanes.workflow.fill import is_program, named_in

_PARAMETER: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_STEP: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_MAX_STEPS: Final = 100
_MAX_PARAMETERS: Final = 50


class ParameterFile(StrictModel):
    """One of the ``parameters`` of a lane file."""

    type: Literal["string", "integer", "boolean", "choice", "path", "version"] = "string"
    describe: str = ""
    default: str | int | bool | None = None
    choices: tuple[Word, ...] = ()
    pattern: str = ""


class StepFile(StrictModel):
    """One of the ``steps`` of a lane file."""

    name: Word
    run: Word
    do: str = ""
    command: Annotated[tuple[Word, ...], Field(min_length=1)] | None = None
    needs: tuple[Word, ...] = ()
    when: str = ""
    retries: int = Field(0, ge=0, le=10)
    writes: tuple[Word, ...] = ()
    env: dict[str, str] = Field(default_factory=dict)
    checks: tuple[Word, ...] = ()
    models: tuple[Word, ...] = ()
    wall_s: int = Field(0, ge=0, le=86_400)
    cache: bool = False


_ALLOWED_KEYS: Final = {
    EDIT: {"do", "needs", "when", "writes", "retries"},
    REVERT: {"do", "needs", "when", "writes", "retries"},
    COMMAND: {"command", "needs", "when", "writes", "retries", "env", "wall_s", "cache"},
    CHECK: {"command", "needs", "when", "retries", "env", "wall_s"},
    APPROVAL: {"do", "needs"},
}
_EXECUTOR_KEYS: Final = {"do", "needs", "when", "writes", "retries", "checks", "models", "wall_s", "cache"}
_REQUIRED_KEY: Final = {COMMAND: "command", CHECK: "command", APPROVAL: ""}


def parse_workflow(
    document: YamlDocument,
    executor: str,
    parameters: dict[str, ParameterFile],
    steps: tuple[StepFile, ...],
    checks: frozenset[str],
) -> tuple[tuple[Parameter, ...], tuple[WorkflowStep, ...]]:
    """The parameters and steps of a lane file with these `checks`; raises `ConfigError` with file, line and key."""
    if executor != WORKFLOW:
        for key, is_set in (("steps", bool(steps)), ("parameters", bool(parameters))):
            if is_set:
                raise document.error(
                    (key,), f"the executor {executor} does not use this key", "Set executor: workflow."
                )
        return (), ()
    if not steps:
        raise document.error(("executor",), "the executor workflow needs the key `steps`", "Add it.")
    if len(steps) > _MAX_STEPS or len(parameters) > _MAX_PARAMETERS:
        raise document.error(("steps",), f"more than {_MAX_STEPS} steps or {_MAX_PARAMETERS} parameters", "Use fewer.")
    parsed_parameters = tuple(_parameter(document, name, raw) for name, raw in parameters.items())
    parsed_steps = tuple(_step(document, n, raw, checks) for n, raw in enumerate(steps))
    _check_order(document, parsed_steps)
    _check_parameters(document, parsed_parameters, parsed_steps)
    return parsed_parameters, parsed_steps


def _parameter(document: YamlDocument, name: str, raw: ParameterFile) -> Parameter:
    at = ("parameters", name)
    if not _PARAMETER.fullmatch(name):
        raise document.error(at, f"{name!r} is not a parameter name", "Use small letters, digits and _.")
    if (raw.type == "choice") is not bool(raw.choices):
        raise document.error((*at, "choices"), "is required for the type choice, and only there", "Add or delete it.")
    try:
        if raw.pattern:
            matches(raw.pattern, "")
    except ValueError as error:
        raise document.error((*at, "pattern"), f"is not a valid pattern: {error}", "Use RE2 syntax.") from error
    without_default = Parameter(name, raw.type, raw.describe, None, raw.choices, raw.pattern)
    if raw.default is None:
        return without_default
    default = str(raw.default).lower() if isinstance(raw.default, bool) else str(raw.default)
    try:
        return Parameter(name, raw.type, raw.describe, without_default.read(default), raw.choices, raw.pattern)
    except UsageError as error:
        raise document.error((*at, "default"), error.problem.message, "Give another default.") from error


def _step(document: YamlDocument, n: int, raw: StepFile, checks: frozenset[str]) -> WorkflowStep:
    at = ("steps", n)
    if not _STEP.fullmatch(raw.name) or len(raw.name) > 40:
        raise document.error((*at, "name"), f"{raw.name!r} is not a step name", "Use small letters, digits and dashes.")
    if raw.run == WORKFLOW:
        raise document.error((*at, "run"), "a workflow cannot run inside a workflow", "Write its steps here.")
    allowed = _ALLOWED_KEYS.get(raw.run, _EXECUTOR_KEYS)
    unexpected = sorted(raw.model_fields_set - allowed - {"name", "run"})
    if raw.run not in STEPS and (
        unexpected or not raw.do
    ):  # otherwise a plugin may provide it, which is checked at run time
        raise document.error(
            (*at, "run"), unknown_executor_message(raw.run, STEPS), "Name one of these, or enable its plugin."
        )
    for key in unexpected:
        raise document.error((*at, key), f"a step that runs {raw.run} does not have this key", "Delete it.")
    required = _REQUIRED_KEY.get(raw.run, "do")
    if required and not getattr(raw, required):
        raise document.error((*at, "run"), f"a step that runs {raw.run} needs the key `{required}`", "Add it.")
    if raw.cache and raw.checks:
        raise document.error((*at, "cache"), "a step with checks cannot be cached", "Delete one of the two keys.")
    for m, check in enumerate(raw.checks):
        if check not in checks:
            known = ", ".join(sorted(checks)) or "none"
            raise document.error((*at, "checks", m), f"the lane has no check {check!r}", f"It has: {known}.")
    for m, pattern in enumerate(raw.writes):
        check_glob(document, (*at, "writes", m), pattern)
    check_variables(document, (*at, "env"), raw.env)
    return WorkflowStep(
        name=raw.name,
        run=raw.run,
        do=raw.do,
        command=raw.command or (),
        needs=raw.needs,
        when=raw.when,
        retries=raw.retries,
        writes=raw.writes,
        environment=tuple(sorted(raw.env.items())),
        checks=raw.checks,
        models=raw.models,
        wall_s=raw.wall_s,
        cache=raw.cache or raw.run in (EDIT, REVERT),
    )


def _check_order(document: YamlDocument, steps: tuple[WorkflowStep, ...]) -> None:
    """Check that names are unique, needs exist without cycles, and approvals separate parts that change something."""
    index: dict[str, int] = {}
    for n, step in enumerate(steps):
        if step.name in index:
            raise document.error(("steps", n, "name"), f"two steps are called {step.name}", "Rename one.")
        index[step.name] = n
    part = {step.name: number for number, each in enumerate(parts_of(steps)) for step in each.steps}
    for n, step in enumerate(steps):
        for m, need in enumerate(step.needs):
            at = ("steps", n, "needs", m)
            if need not in index:
                raise document.error(at, f"there is no step called {need!r}", f"There are: {', '.join(index)}.")
            if need == step.name:
                raise document.error(at, f"{need} needs itself", "Delete it.")
            if part.get(need, 0) > part.get(step.name, part.get(need, 0)):
                mend = "Move this step below the approval, or the other one above it."
                raise document.error(at, f"{need} runs after an approval, and {step.name} before it", mend)
    if cycle := find_cycle(steps):
        n = index[cycle[0]]
        raise document.error(
            ("steps", n, "needs"), f"the steps need each other in a cycle: {' → '.join(cycle)}", "Delete one need."
        )
    for each in parts_of(steps):
        if not any(step.run != CHECK for step in each.steps):
            name = each.awaits or each.passed
            if not name:
                continue
            where = "above" if each.awaits else "below"
            message = f"no step {where} the approval {name} changes anything"
            raise document.error(
                ("steps", index[name]), message, "Move or delete it. The final result needs an approval anyway."
            )


def find_cycle(steps: tuple[WorkflowStep, ...]) -> list[str]:
    """The names of steps that form a cycle, the first one twice; empty when there is none."""
    needs = {step.name: step.needs for step in steps}
    remaining = {name: set(needed) for name, needed in needs.items()}
    while ready := [name for name, needed in remaining.items() if not needed]:
        for name in ready:
            del remaining[name]
        for needed in remaining.values():
            needed.difference_update(ready)
    if not remaining:
        return []
    trail = [next(iter(remaining))]
    while trail.count(trail[-1]) < 2:
        trail.append(next(name for name in needs[trail[-1]] if name in remaining))
    return trail[trail.index(trail[-1]) :]


def _check_parameters(
    document: YamlDocument, parameters: tuple[Parameter, ...], steps: tuple[WorkflowStep, ...]
) -> None:
    """Check that every named parameter exists, and that every parameter is named."""
    known, used = {parameter.name for parameter in parameters}, set[str]()
    for n, step in enumerate(steps):
        for key, names in _names_of(document, n, step):
            for name in names:
                if name not in known:
                    mend = f"There are: {', '.join(sorted(known)) or 'none'}; write a literal brace twice."
                    raise document.error(("steps", n, *key), f"there is no parameter {name!r}", mend)
                used.add(name)
    for name in known - used:
        message = "no step uses this parameter (code after -c gets it as a separate argument, in sys.argv)"
        raise document.error(("parameters", name), message, "Use it, or delete it.")


def _names_of(document: YamlDocument, n: int, step: WorkflowStep) -> list[tuple[KeyPath, list[str]]]:
    """The parameters that a step names, with the key of each place."""
    try:
        parsed = condition.parse(step.when)
    except ValueError as error:
        mend = 'Write for example {flag}, or {kind} == "major" and not {quiet}.'
        raise document.error(("steps", n, "when"), str(error), mend) from error
    names: list[tuple[KeyPath, list[str]]] = [(("when",), sorted(parsed.names)), (("do",), named_in(step.do))]
    names += [(("env", name), named_in(text)) for name, text in step.environment]
    for m, word in enumerate(step.command):
        if "\0" in word:
            raise document.error(("steps", n, "command", m), "has a NUL character", "Delete it.")
        if not is_program(step.command, m):
            names.append((("command", m), named_in(word)))
    return names


def check_variables(document: YamlDocument, key: KeyPath, names: dict[str, str]) -> None:
    """Refuse invalid variable names, and those that control the dynamic linker."""
    for variable in names:
        if not _VARIABLE.fullmatch(variable) or variable.startswith("LD_"):
            raise document.error(
                (*key, variable), "is not a variable name that a lane may set", "Use letters, digits and _."
            )


def check_glob(document: YamlDocument, key: KeyPath, pattern: str) -> None:
    """Refuse a pattern that is obviously not an anchored glob, with its line; the policy checks the rest."""
    parts = pattern.removeprefix("/").split("/")
    if pattern.endswith("/"):
        raise document.error(
            key, f"the pattern {pattern!r} ends with a slash", f"Write {pattern}** for everything inside."
        )
    if pattern.startswith("!") or "\\" in pattern or any(part in ("", ".", "..") for part in parts):
        mend = "Write it from the repository's root, such as src/** or *.toml."
        raise document.error(key, f"the pattern {pattern!r} is not anchored", mend)
