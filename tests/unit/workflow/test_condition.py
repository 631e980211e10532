"""Conditions of steps: parsed by our own parser, never executed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanes.workflow.condition import parse

pytestmark = pytest.mark.lanes

VALUES = {"flag": "true", "off": "false", "kind": "major", "odd": "' or true or '"}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("", True),
        ("{flag}", True),
        ("{off}", False),
        ("not {off}", True),
        ("not not {flag}", True),
        ('{kind} == "major"', True),
        ("{kind} == 'minor'", False),
        ("{kind} != minor", True),
        ("{flag} and {off}", False),
        ("{flag} or {off}", True),
        ("{off} and {off} or {flag}", True),
        ("{off} and ({off} or {flag})", False),
        ("not ({flag} and {off})", True),
        ("not {off} and {kind} == major", True),
        ("{kind}", False),
        ("true", True),
        ("{odd} == 'x'", False),
        ("{odd}", False),
    ],
)
def test_a_condition_holds_as_it_says(text, holds):
    assert parse(text).holds(VALUES) is holds


@pytest.mark.parametrize(
    "text",
    [
        "{flag} and",
        "and {flag}",
        "({flag}",
        "{flag})",
        "{flag} {off}",
        "{kind} = major",
        "{kind} == ",
        "{Flag}",
        "__import__('os')",
        "{flag} if {off}",
        "'open",
        "(" * 50 + "{flag}" + ")" * 50,
        "not " * 60 + "{flag}",
        "{flag} or " * 200 + "{flag}",
        "a;b",
    ],
)
def test_what_cannot_be_read_is_refused(text):
    with pytest.raises(ValueError):
        parse(text)


def test_a_condition_names_its_parameters():
    assert parse('{a} == "x" and not {b} or {a}').names == {"a", "b"}


@given(st.text(alphabet="{}()'\"=! abnortdf", max_size=60))
def test_any_text_is_read_or_refused(text):
    try:
        condition = parse(text)
    except ValueError:
        return
    assert condition.holds(dict.fromkeys(condition.names, "true")) in (True, False)
