"""A path for each combination of globs: every path that a law meets is like one of the witnesses."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.globs import Globs, check
from policies.part_witnesses import part_witnesses
from policies.path_classes import path_witnesses
from policies.witness_search import TooManyCombinationsError

pytestmark = pytest.mark.law

PARTS = ("a", "b", "ab", "a*", "*b", "*a*b", "?", "a?", "[ab]", "[!a]", "[a-c]b", "*.md", "A*", "é*")
patterns = (
    st.lists(st.sampled_from([*PARTS, "**", "**"]), min_size=1, max_size=4)
    .map("/".join)
    .filter(lambda pattern: check(pattern) is None)
)
paths = st.lists(
    st.text("abcABé.md-", min_size=1, max_size=5).filter(lambda part: part not in {".", ".."}), min_size=1, max_size=5
).map("/".join)


def kind(path: str, write: list[str], deny: list[str]) -> tuple[bool, ...]:
    """Which of the globs match a path."""
    raw = path.encode()
    return (
        *(Globs((pattern,)).covers(raw) is not None for pattern in write),
        *(Globs((pattern,)).denies(raw) is not None for pattern in deny),
    )


@settings(max_examples=200)
@given(st.lists(patterns, max_size=4), st.lists(patterns, max_size=3), st.lists(paths, min_size=1, max_size=20))
def test_every_path_is_of_the_kind_of_a_witness(write, deny, tried):
    kinds = {kind(path, write, deny) for path in path_witnesses(write, deny)}
    assert {kind(path, write, deny) for path in tried} <= kinds


@given(st.lists(patterns, max_size=4), st.lists(patterns, max_size=3))
def test_no_two_witnesses_are_of_one_kind(write, deny):
    kinds = [kind(path, write, deny) for path in path_witnesses(write, deny)]
    assert len(kinds) == len(set(kinds))


def test_the_shortest_names_that_two_stars_share_are_found():
    assert set(part_witnesses(["README*", "*.md"])) == {"x", "README", ".md", "README.md"}


def test_patterns_that_combine_in_too_many_ways_are_refused(monkeypatch):
    monkeypatch.setattr("policies.witness_search.MAX_STATES", 500)
    with pytest.raises(TooManyCombinationsError):
        part_witnesses(f"*{'?' * n}{chr(97 + n)}*{chr(110 + n)}*" for n in range(12))
