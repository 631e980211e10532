"""A workflow: a lane of named steps with parameters as its file defines them, and the rules for both; pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from core.model.errors import PermanentError, UsageError
from core.model.repository_path import PathError, check_path

EDIT: Final = "edit"
COMMAND: Final = "command"
CHECK: Final = "check"
APPROVAL: Final = "approval"
REVERT: Final = "revert"
WORKFLOW: Final = "workflow"

ParameterType = Literal["string", "integer", "boolean", "choice", "path", "version"]

MAX_VALUE_CHARS: Final = 2000
_PLACEHOLDER: Final = re.compile(r"\{\{|\}\}|\{(?P<name>[a-z][a-z0-9_]*)\}")
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,18}", re.ASCII)
_VERSION: Final = re.compile(r"v?[0-9][A-Za-z0-9.+!_-]{0,63}", re.ASCII)
_BOOLEANS: Final = {"true": "true", "yes": "true", "false": "false", "no": "false"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value that a request passes to a lane; with `default` None it is required.

    `pattern` is in RE2 syntax and must match the whole value.
    """

    name: str
    type: ParameterType = "string"
    describe: str = ""
    default: str | None = None
    choices: tuple[str, ...] = ()
    pattern: str = ""

    def read(self, text: str) -> str:
        """Check and normalise `text`; raises `UsageError` naming the parameter. A value is data, never code."""
        value = text.strip()
        if not value or len(value) > MAX_VALUE_CHARS:
            raise self._refused(f"must have 1 to {MAX_VALUE_CHARS} characters")
        if any(unicodedata.category(char) in _HIDDEN for char in value):
            raise self._refused("has a line break or another invisible character")
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

    def _refused(self, reason: str) -> UsageError:
        return UsageError("bad_parameter", f"the parameter {self.name} {reason}", self.mend())

    def mend(self) -> str:
        """How to set it."""
        form = "|".join(self.choices) if self.choices else self.type.upper()
        description = f" ({self.describe})" if self.describe else ""
        return f"Set it with --set {self.name}={form}{description}."


@dataclass(frozen=True, slots=True)
class WorkflowStep:
    """One step. `run` names an executor, or is check, approval or revert; `do` is its task in words.

    `needs` are the steps whose trees it starts from, `writes` what it may change (empty: everything its lane may),
    `when` is a condition on parameters, `checks` are those of the lane's checks that judge a model's work, `wall_s` 0
    means the lane's limit. With `cache` a result is reused for the same step, parameters and tree; edits and reverts
    always are. A revert reverts the commit that its `do` names.
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
    """The steps between two approvals: `passed` is the approval before them, `awaits` the one after.

    Either is empty where there is none.
    """

    steps: tuple[WorkflowStep, ...]
    passed: str = ""
    awaits: str = ""


def parts_of(steps: Sequence[WorkflowStep]) -> tuple[WorkflowPart, ...]:
    """The steps, split at the approvals in the order of the file, whatever the steps need."""
    parts: list[WorkflowPart] = []
    passed, current = "", list[WorkflowStep]()
    for step in steps:
        if step.run == APPROVAL:
            parts.append(WorkflowPart(tuple(current), passed, step.name))
            passed, current = step.name, []
        else:
            current.append(step)
    return (*parts, WorkflowPart(tuple(current), passed))


def part_after(lane: str, steps: Sequence[WorkflowStep], passed: str) -> WorkflowPart:
    """The steps that follow the approval called `passed` (empty: the first ones).

    Raises `PermanentError` if the lane's file no longer has such an approval.
    """
    for part in parts_of(steps):
        if part.passed == passed:
            return part
    raise PermanentError(
        "lane_changed",
        f"the lane {lane} no longer has the approval step {passed!r}, after which this work was to continue",
        'Reply "start over" with what you want.',
    )


def named_in(text: str) -> list[str]:
    """The parameters that a text names; ``{{`` and ``}}`` stand for single braces."""
    return [match["name"] for match in _PLACEHOLDER.finditer(text) if match["name"]]


def filled(text: str, values: Mapping[str, str]) -> str:
    """`text` with values substituted for its parameters; values are not expanded again."""

    def put(match: re.Match[str]) -> str:
        name = match["name"]
        return values[name] if name else match.group()[0]

    return _PLACEHOLDER.sub(put, text)


def awaited(
    steps: Sequence[WorkflowStep], parameters: Sequence[Parameter], name: str, request_values: Mapping[str, str]
) -> dict[str, int | str]:
    """The position of the approval called `name` among the steps, from 1, and its question; empty without one.

    The question has the request's values, and the defaults of the lane's file, substituted.
    """
    known = {each.name: each.default for each in parameters if each.default is not None} | dict(request_values)
    for n, step in enumerate(steps, 1):
        if step.name == name and step.run == APPROVAL:
            values = {name: known.get(name, f"{{{name}}}") for name in named_in(step.do)}
            return {"step": n, "steps": len(steps), "asks": filled(step.do, values)}
    return {}


def missing(parameters: Sequence[Parameter], request_values: Mapping[str, str]) -> Parameter | None:
    """The first required parameter that has no value."""
    return next((each for each in parameters if each.default is None and each.name not in request_values), None)


def first_invalid(
    lane: str, parameters: Sequence[Parameter], request_values: Mapping[str, str]
) -> tuple[Parameter, str] | None:
    """The first parameter that is missing or invalid, and a sentence that says so; None if all are valid.

    Raises `UsageError` for a parameter that the lane does not have, because no answer could fix that.
    """
    known = {parameter.name for parameter in parameters}
    values_of(lane, parameters, {name: text for name, text in request_values.items() if name not in known}, whole=False)
    for parameter in parameters:
        if parameter.name in request_values:
            try:
                parameter.read(request_values[parameter.name])
            except UsageError as error:
                return parameter, error.problem.message
        elif parameter.default is None:
            return parameter, f"the lane {lane} needs the parameter {parameter.name}"
    return None


def values_of(
    lane: str, parameters: Sequence[Parameter], request_values: Mapping[str, str], *, whole: bool = True
) -> dict[str, str]:
    """All values of a lane's parameters, defaults included; without `whole` only those of the request, checked.

    Raises `UsageError` naming a parameter that is unknown, invalid or (with `whole`) missing.
    """
    known = {parameter.name: parameter for parameter in parameters}
    for name in request_values:
        if name not in known:
            mend = f"It has {', '.join(known)}." if known else "It has none."
            raise UsageError("no_such_parameter", f"the lane {lane} has no parameter {name!r}", mend)
    required = missing(parameters, request_values)
    if whole and required is not None:
        raise UsageError("missing_parameter", f"the lane {lane} needs the parameter {required.name}", required.mend())
    values = {name: known[name].read(text) for name, text in request_values.items()}
    if not whole:
        return values
    return {each.name: values[each.name] if each.name in values else str(each.default) for each in parameters}


def matches(pattern: str, value: str) -> bool:
    """Whether `pattern` matches all of `value`, in linear time; raises `ValueError` for an invalid RE2 pattern."""
    import re2  # noqa: PLC0415 (a large library that few lanes need)

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.fullmatch(pattern, value, options) is not None
    except re2.error as error:
        reason = error.args[0] if error.args else ""  # RE2's message, as bytes
        raise ValueError(reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)) from error


def _shown(value: str) -> str:
    return repr(value if len(value) <= 60 else value[:59] + "…")
