"""The digest: one name for exactly these bytes, on this base, of this repository."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.change import ABSENT, EXECUTABLE, GITLINK, REGULAR, SYMLINK, FileChange
from core.model.staged_diff import StagedDiff, digest_of, stage
from tests.builders import BASE, added_file, change, file_change, sha256, staged

MODES = st.sampled_from([ABSENT, REGULAR, EXECUTABLE, SYMLINK, GITLINK])
SHAS = st.one_of(st.none(), st.binary(max_size=3).map(sha256))
FILES = st.builds(
    lambda path, old, new, was, now: file_change(path, old_mode=old, mode=new, old_sha256=was, new_sha256=now),
    st.binary(min_size=1, max_size=12),
    MODES,
    MODES,
    SHAS,
    SHAS,
)
CHANGES = st.lists(FILES, max_size=6, unique_by=lambda file: file.path)
KNOWN = "1fb9f5176cdf294bf44364074421a7507a1fc83ce0cb9677c03b1f89eca7fc0e"
NAMED = ("path", "old_mode", "mode", "old_sha256", "new_sha256")


def digest(files, repository="repo-1", base=BASE):
    return digest_of(repository, base, files)


@given(CHANGES, st.randoms())
def test_the_order_of_files_does_not_matter(files, random):
    shuffled = files[:]
    random.shuffle(shuffled)
    assert digest(shuffled) == digest(files)


@given(CHANGES, CHANGES)
def test_two_changes_have_one_digest_only_when_they_are_the_same(one, other):
    def same(files: list[FileChange]) -> set[tuple[object, ...]]:
        return {tuple(getattr(file, name) for name in NAMED) for file in files}

    assert (digest(one) == digest(other)) is (same(one) == same(other))


@pytest.mark.parametrize(
    "different",
    [
        {"path": b"config/app.yml"},
        {"path": b"config/App.yaml"},
        {"old_mode": EXECUTABLE},
        {"mode": EXECUTABLE},
        {"old_sha256": sha256("x")},
        {"new_sha256": sha256("x")},
        {"old_sha256": None},
        {"new_sha256": None},
    ],
    ids=lambda different: " ".join(f"{k}={v!r}"[:30] for k, v in different.items()),
)
def test_any_field_of_a_file_changes_the_digest(different):
    assert digest([replace(file_change(), **different)]) != digest([file_change()])


def test_repository_and_base_change_the_digest():
    files = [file_change()]
    digests = {digest(files), digest(files, repository="repo-2"), digest(files, base="a" * 40), digest([])}
    assert len(digests) == 4


@given(st.text(max_size=6), st.text(max_size=6), st.text(max_size=6), st.text(max_size=6))
def test_neighbouring_fields_cannot_borrow_from_each_other(repository, base, other_repository, other_base):
    same = (repository, base) == (other_repository, other_base)
    assert (digest([], repository, base) == digest([], other_repository, other_base)) is same


@given(st.binary(min_size=1, max_size=24), st.integers(1, 23))
def test_a_path_cannot_be_read_as_two(path, cut):
    """One file whose name holds what two files would spell is still another change."""
    one, two = path[:cut], path[cut:] or b"x"
    if one != two:
        assert digest([file_change(path)]) != digest([file_change(one), file_change(two)])


def test_what_git_derives_from_the_bytes_is_not_counted_again():
    """Line counts, sizes and object ids follow from the blobs, whatever diff algorithm counted them (81)."""
    derived: dict[str, Any] = {
        "added": None,
        "removed": 7,
        "old_size": 9,
        "new_size": 9,
        "old_blob": "3" * 40,
        "new_blob": "4" * 40,
    }
    assert digest([file_change(**derived)]) == digest([file_change()])
    assert {field.name for field in fields(FileChange)} == {*derived, *NAMED}, "is the new field in the digest?"


def test_a_deletion_an_addition_and_a_type_change_differ():
    gone = file_change("a", mode=ABSENT, new_sha256=None)
    link = file_change("a", mode=SYMLINK)
    assert len({digest([f]) for f in (gone, added_file("a"), link, file_change("a"))}) == 4


def test_the_digest_is_what_it_was_in_earlier_versions():
    """Digests are in people's chats and in receipts: another algorithm needs another domain name."""
    assert digest_of("repo-1", BASE, [added_file("docs/a.md", b"hello\n")]) == KNOWN


def test_a_staged_diff_survives_the_store():
    before = stage(change(file_change(b"a\xff\n"), added_file("docs/b.md")), staged(blocked=True).guard)
    after = StagedDiff.from_json(before.to_json())
    assert after == before
    assert after.digest == digest_of("repo-1", BASE, change(file_change(b"a\xff\n"), added_file("docs/b.md")).files)
