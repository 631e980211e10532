"""A workflow: a lane made of named steps with parameters, as its file says it, and what is asked of both. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from core.model.edits import PathError, check_path
from core.model.errors import PermanentError, UsageError

EDIT: Final = "edit"
COMMAND: Final = "command"
CHECK: Final = "check"
APPROVAL: Final = "approval"
REVERT: Final = "revert"
WORKFLOW: Final = "workflow"

ParameterType = Literal["string", "integer", "boolean", "choice", "path", "version"]

MAX_VALUE_CHARS: Final = 2000
_NAMED: Final = re.compile(r"\{\{|\}\}|\{(?P<name>[a-z][a-z0-9_]*)\}")
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,18}", re.ASCII)
_VERSION: Final = re.compile(r"v?[0-9][A-Za-z0-9.+!_-]{0,63}", re.ASCII)
_BOOLEANS: Final = {"true": "true", "yes": "true", "false": "false", "no": "false"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a request tells a lane. `default` None must be told; `pattern` is RE2's, and must match all of a value."""

    name: str
    type: ParameterType = "string"
    describe: str = ""
    default: str | None = None
    choices: tuple[str, ...] = ()
    pattern: str = ""

    def read(self, text: str) -> str:
        """`text` as a value of this parameter; raises `UsageError` that names it. A value is data, whatever it says."""
        value = text.strip()
        if not value or len(value) > MAX_VALUE_CHARS:
            raise self._refused(f"must have 1 to {MAX_VALUE_CHARS} characters")
        if any(unicodedata.category(char) in _HIDDEN for char in value):
            raise self._refused("has a line break or another character that nobody sees")
        value = self._typed(value)
        if self.type != "integer" and value.startswith("-"):
            raise self._refused(f"is {_shown(value)}, and a value may not begin with a dash")
        if self.pattern and not matches(self.pattern, value):
            raise self._refused(f"is {_shown(value)}, which does not match {self.pattern}")
        return value

    def _typed(self, value: str) -> str:
        match self.type:
            case "integer":
                if not _INTEGER.fullmatch(value):
                    raise self._refused(f"is {_shown(value)}, which is not a whole number")
                return str(int(value))
            case "boolean":
                if value.lower() not in _BOOLEANS:
                    raise self._refused(f"is {_shown(value)}, and must be true or false")
                return _BOOLEANS[value.lower()]
            case "choice":
                if value not in self.choices:
                    raise self._refused(f"is {_shown(value)}, which is not one of {', '.join(self.choices)}")
            case "version":
                if not _VERSION.fullmatch(value):
                    raise self._refused(f"is {_shown(value)}, which is not a version such as 1.2.3")
            case "path":
                try:
                    check_path(value)
                except PathError as error:
                    raise self._refused(f"is not a path inside the repository: {str(error).rstrip('.')}") from error
            case "string":
                pass
        return value

    def _refused(self, why: str) -> UsageError:
        return UsageError("bad_parameter", f"the parameter {self.name} {why}", self.mend())

    def mend(self) -> str:
        """How it is set."""
        what = "|".join(self.choices) if self.choices else self.type.upper()
        about = f" ({self.describe})" if self.describe else ""
        return f"Say it with --set {self.name}={what}{about}."


@dataclass(frozen=True, slots=True)
class WorkflowStep:
    """One step. `run` names an executor, or is check, approval or revert; `do` is what it is to do, in words.

    `needs` are the steps whose trees it begins with, `writes` what it may change (empty: whatever its lane may),
    `when` is a condition on parameters, `checks` are those of the lane that judge a model's work, `wall_s` 0 the
    lane's own. `cache` lets a result be used again where step, parameters and tree are the same; edits and reverts
    always are. A revert takes back the commit that its `do` names.
    """

    name: str
    run: str
    do: str = ""
    command: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    when: str = ""
    retries: int = 0
    writes: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    checks: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    wall_s: int = 0
    cache: bool = False


@dataclass(frozen=True, slots=True)
class WorkflowPart:
    """The steps between two approvals. `passed` is the approval before them, `awaits` the one after; empty: none."""

    steps: tuple[WorkflowStep, ...]
    passed: str = ""
    awaits: str = ""


def parts_of(steps: Sequence[WorkflowStep]) -> tuple[WorkflowPart, ...]:
    """The steps, cut where the file has an approval: what stands above it comes before it, whatever it needs."""
    parts: list[WorkflowPart] = []
    passed, begun = "", list[WorkflowStep]()
    for step in steps:
        if step.run == APPROVAL:
            parts.append(WorkflowPart(tuple(begun), passed, step.name))
            passed, begun = step.name, []
        else:
            begun.append(step)
    return (*parts, WorkflowPart(tuple(begun), passed))


def part_after(lane: str, steps: Sequence[WorkflowStep], passed: str) -> WorkflowPart:
    """The steps that follow the approval called `passed` (empty: the first ones).

    Raises `PermanentError` when the lane's file has no such approval any more: what was approved led elsewhere.
    """
    for part in parts_of(steps):
        if part.passed == passed:
            return part
    raise PermanentError(
        "lane_changed",
        f"the lane {lane} has no approval step called {passed!r} any more, from which this work was to go on",
        'Reply "start over", with what you want.',
    )


def named_in(text: str) -> list[str]:
    """The parameters that a text names; ``{{`` and ``}}`` stand for single braces."""
    return [found["name"] for found in _NAMED.finditer(text) if found["name"]]


def filled(text: str, values: Mapping[str, str]) -> str:
    """`text` with the values in their places; what a value says is never looked at again."""

    def put(found: re.Match[str]) -> str:
        name = found["name"]
        return values[name] if name else found.group()[0]

    return _NAMED.sub(put, text)


def awaited(
    steps: Sequence[WorkflowStep], parameters: Sequence[Parameter], name: str, given: Mapping[str, str]
) -> dict[str, int | str]:
    """Where the approval called `name` stands among the steps, from 1, and what it asks; empty without one.

    The question has the values of the request, and those that the lane's file gives, in their places.
    """
    known = {each.name: each.default for each in parameters if each.default is not None} | dict(given)
    for n, step in enumerate(steps, 1):
        if step.name == name and step.run == APPROVAL:
            values = {name: known.get(name, f"{{{name}}}") for name in named_in(step.do)}
            return {"step": n, "steps": len(steps), "asks": filled(step.do, values)}
    return {}


def missing(parameters: Sequence[Parameter], given: Mapping[str, str]) -> Parameter | None:
    """The first parameter that must be told and was not."""
    return next((each for each in parameters if each.default is None and each.name not in given), None)


def first_wrong(lane: str, parameters: Sequence[Parameter], given: Mapping[str, str]) -> tuple[Parameter, str] | None:
    """The first parameter that is missing or wrong, and a sentence that says so; None when all are well.

    Raises `UsageError` for one that the lane does not have: no answer could mend that.
    """
    known = {parameter.name for parameter in parameters}
    values_of(lane, parameters, {name: text for name, text in given.items() if name not in known}, whole=False)
    for parameter in parameters:
        if parameter.name in given:
            try:
                parameter.read(given[parameter.name])
            except UsageError as error:
                return parameter, error.problem.message
        elif parameter.default is None:
            return parameter, f"the lane {lane} needs the parameter {parameter.name}"
    return None


def values_of(
    lane: str, parameters: Sequence[Parameter], given: Mapping[str, str], *, whole: bool = True
) -> dict[str, str]:
    """Every value of a lane's parameters, defaults included; without `whole` only those given, checked.

    Raises `UsageError` naming the parameter that is unknown, wrong or (with `whole`) missing.
    """
    known = {parameter.name: parameter for parameter in parameters}
    for name in given:
        if name not in known:
            mend = f"It has {', '.join(known)}." if known else "It has none."
            raise UsageError("no_such_parameter", f"the lane {lane} has no parameter {name!r}", mend)
    lacks = missing(parameters, given)
    if whole and lacks is not None:
        raise UsageError("missing_parameter", f"the lane {lane} needs the parameter {lacks.name}", lacks.mend())
    told = {name: known[name].read(text) for name, text in given.items()}
    if not whole:
        return told
    return {each.name: told[each.name] if each.name in told else str(each.default) for each in parameters}


def matches(pattern: str, value: str) -> bool:
    """Whether all of `value` matches, in time linear in it; raises `ValueError` for a pattern that RE2 cannot read."""
    import re2  # noqa: PLC0415 (a large library, for the few lanes that have a pattern)

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.fullmatch(pattern, value, options) is not None
    except re2.error as error:
        raise ValueError(str(error)) from error


def _shown(value: str) -> str:
    return repr(value if len(value) <= 60 else value[:59] + "…")
