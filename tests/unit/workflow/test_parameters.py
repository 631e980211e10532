"""Parameters of a lane: valid values, and the errors for invalid ones."""

from __future__ import annotations

import pytest

from core.model.errors import PermanentError, UsageError
from core.model.workflow import Parameter, WorkflowStep, first_invalid, missing, part_after, parts_of, values_of

pytestmark = pytest.mark.lanes

PACKAGE = Parameter("package", pattern="[a-z]+")
VERSION = Parameter("version", "version", "which one")
QUIET = Parameter("quiet", "boolean", default="false")
ALL = (PACKAGE, VERSION, QUIET)


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        ("string", "  two words ", "two words"),
        ("string", "$(rm -rf /); `x` {package} %s", "$(rm -rf /); `x` {package} %s"),
        ("integer", "+007", "7"),
        ("integer", "-5", "-5"),
        ("boolean", "Yes", "true"),
        ("boolean", "false", "false"),
        ("path", "docs/a b.md", "docs/a b.md"),
        ("version", "v1.2.3-rc.1+b", "v1.2.3-rc.1+b"),
    ],
)
def test_a_value_is_read_as_its_type(type_, text, value):
    assert Parameter("it", type_).read(text) == value


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        ("string", ""),
        ("string", "   "),
        ("string", "a\nb"),
        ("string", "a\x1b[31m"),
        ("string", "a\u202eb"),
        ("string", "--upload-pack=x"),
        ("string", "x" * 2001),
        ("integer", "1.5"),
        ("integer", "one"),
        ("integer", "٣"),
        ("boolean", "1"),
        ("path", "../x"),
        ("path", "/etc/passwd"),
        ("path", ".git/config"),
        ("path", "-rf"),
        ("version", "latest"),
        ("version", "1.0; rm"),
    ],
)
def test_a_value_that_is_none_is_refused_by_the_parameters_name(type_, text):
    with pytest.raises(UsageError, match="the parameter it "):
        Parameter("it", type_).read(text)


def test_a_choice_is_one_of_its_choices():
    part = Parameter("part", "choice", choices=("major", "minor"))
    assert part.read("minor") == "minor"
    with pytest.raises(UsageError, match="not one of major, minor"):
        part.read("patch")


def test_a_pattern_must_match_all_of_the_value_in_linear_time():
    assert PACKAGE.read("httpx") == "httpx"
    for text in ("httpx2", "a b", "Httpx"):
        with pytest.raises(UsageError, match="does not match"):
            PACKAGE.read(text)
    with pytest.raises(UsageError):
        Parameter("slow", pattern="(a+)+$").read("a" * 1999 + "b")


def test_values_are_those_told_and_the_defaults_of_the_rest():
    told = values_of("bump", ALL, {"package": "httpx", "version": "1.2"})
    assert told == {"package": "httpx", "version": "1.2", "quiet": "false"}


def test_what_is_missing_unknown_or_wrong_is_named():
    with pytest.raises(UsageError, match=r"needs the parameter version.*--set version=VERSION .which one"):
        values_of("bump", ALL, {"package": "httpx"})
    with pytest.raises(UsageError, match=r"no parameter 'packet'.*package, version, quiet"):
        values_of("bump", ALL, {"packet": "httpx"}, whole=False)
    assert values_of("bump", ALL, {"package": "httpx"}, whole=False) == {"package": "httpx"}
    assert missing(ALL, {"package": "x"}) is VERSION
    assert missing(ALL, {"package": "x", "version": "1"}) is None


def test_the_first_thing_to_ask_for_is_what_is_wrong_or_missing():
    wrong = first_invalid("bump", ALL, {"package": "A"})
    assert wrong is not None
    assert wrong[0] is PACKAGE
    lacks = first_invalid("bump", ALL, {"package": "a"})
    assert lacks == (VERSION, "the lane bump needs the parameter version")
    assert first_invalid("bump", ALL, {"package": "a", "version": "1"}) is None
    with pytest.raises(UsageError):
        first_invalid("bump", ALL, {"other": "1"})


STEPS = (
    WorkflowStep("a", "edit"),
    WorkflowStep("one", "approval"),
    WorkflowStep("b", "edit"),
    WorkflowStep("two", "approval"),
    WorkflowStep("c", "edit"),
)


def test_approvals_part_the_steps_as_the_file_has_them():
    told = [([step.name for step in part.steps], part.passed, part.awaits) for part in parts_of(STEPS)]
    assert told == [(["a"], "", "one"), (["b"], "one", "two"), (["c"], "two", "")]
    assert part_after("bump", STEPS, "one").awaits == "two"
    assert part_after("bump", STEPS[:1], "").awaits == ""


def test_an_approval_that_the_file_lost_leads_nowhere():
    with pytest.raises(PermanentError, match="no longer has the approval step 'three'"):
        part_after("bump", STEPS, "three")
