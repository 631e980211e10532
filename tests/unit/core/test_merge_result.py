"""What merges is what was countersigned: the same paths, each with the approved bytes before and after."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.change import ABSENT, REGULAR, Change, FileChange
from core.rules.merge_result import merge_difference

pytestmark = pytest.mark.law

Files = Mapping[str, str]
FILES = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["", "1", "2"]), max_size=4)


def change(old: Files, new: Files) -> Change:
    """What differs between two trees."""
    paths = sorted(path for path in {*old, *new} if old.get(path) != new.get(path))
    return Change("web", "0" * 40, "1" * 40, tuple(entry(path, old.get(path), new.get(path)) for path in paths))


def entry(path: str, old: str | None, new: str | None, mode: str = REGULAR) -> FileChange:
    return FileChange(
        path=path.encode(),
        old_mode=ABSENT if old is None else REGULAR,
        mode=ABSENT if new is None else mode,
        old_blob=None,
        new_blob=None,
        old_sha256=sha256(old),
        new_sha256=sha256(new),
        old_size=len(old or ""),
        new_size=len(new or ""),
        added=0,
        removed=0,
    )


def sha256(text: str | None) -> str | None:
    return None if text is None else hashlib.sha256(text.encode()).hexdigest()


@given(base=FILES, approved=FILES, main=FILES, merged=FILES)
def test_a_merge_is_the_approved_change_only_where_it_does_that_and_nothing_else(base, approved, main, merged):
    touched = {path for path in "abcd" if base.get(path) != approved.get(path)}
    expected = {
        **{p: t for p, t in main.items() if p not in touched},
        **{p: approved[p] for p in touched & {*approved}},
    }
    is_same = merged == expected and all(main.get(path) == base.get(path) for path in touched)
    assert (merge_difference(change(base, approved), change(main, merged)) is None) == is_same


@pytest.mark.parametrize(
    ("main", "merged", "words"),
    [
        ({"a": "0"}, {"a": "1"}, "a was changed there since it was approved"),
        ({"a": "2"}, {"a": "2"}, "a is as approved there already"),
        ({"a": "", "b": "0"}, {"a": "2", "b": "1"}, "b would change too, which was not approved"),
    ],
    ids=["changed on both sides", "nothing left to change", "one file more"],
)
def test_the_difference_names_the_path(main, merged, words):
    assert words in str(merge_difference(change({"a": ""}, {"a": "2"}), change(main, merged)))


def test_a_mode_is_part_of_what_was_approved():
    plain = change({"a": "1"}, {"a": "2"})
    assert merge_difference(plain, Change("web", plain.base, plain.tree, (entry("a", "1", "2", "100755"),)))
