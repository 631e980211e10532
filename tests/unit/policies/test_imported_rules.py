"""The imported rules: each compiles in RE2, upstream's filters hold, and the index of their words overlooks nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.secrets import scan
from policies.secrets.hints import HintIndex
from policies.secrets.imported import ImportedRule, imported_rules
from policies.secrets.patterns import PATTERNS, Pattern, compiled

pytestmark = pytest.mark.law

RULES: tuple[ImportedRule | Pattern, ...] = (*imported_rules(), *PATTERNS)
INDEX = HintIndex(RULES)
WORDS = sorted({hint for rule in imported_rules() for hint in rule.hints})


def test_every_imported_rule_compiles_and_has_lower_case_words():
    rules = imported_rules()
    assert len(rules) > 400
    for rule in rules:
        assert rule.hints
        assert all(hint == hint.lower() for hint in rule.hints)
        assert compiled(rule.regex).groups >= rule.group
        assert all(compiled(regex) for _, regex in (*rule.reject, *rule.require))


@settings(max_examples=30)
@given(st.lists(st.sampled_from(WORDS) | st.binary(max_size=5), max_size=8), st.integers(0, 140_000))
def test_the_index_names_exactly_the_rules_with_a_word_in_the_text(parts, padding):
    text = b"." * padding + b"".join(parts).upper()
    expected = [rule.name for rule in RULES if any(hint in text.lower() for hint in rule.hints)]
    assert [rule.name for rule in INDEX.candidates(text)] == expected


def test_a_text_with_every_word_names_every_rule():
    text = b" ".join(sorted({hint for rule in RULES for hint in rule.hints}))
    assert INDEX.candidates(text * 20) == list(RULES)


@pytest.mark.parametrize("end", ["", ")", ",", "<", "]", "\\n", "'"])
def test_a_value_ends_at_any_other_byte(end):
    leaks = scan(f"adafruit_key='a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6{end}".encode()).new
    assert "adafruit-api-key" in {leak.rule for leak in leaks if leak.certain}


def test_upstreams_filter_drops_what_is_not_random():
    assert not [leak for leak in scan(b"adafruit_key=" + b"a" * 32).new if leak.rule == "adafruit-api-key"]
