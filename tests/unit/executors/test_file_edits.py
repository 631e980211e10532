"""Files that are moved, created and removed, and sequences of edits."""

from __future__ import annotations

import pytest

from core.model.edits import AddLine, CreateFile, DeleteFile, MoveFile, ReplaceText, SetKey
from lanes.executors.apply_edits import EditError


def test_a_move_keeps_bytes_and_mode(change):
    result = change({"a.sh": b"\xff\0"}, MoveFile("a.sh", "bin/a.sh"), modes={"a.sh": "100755"})
    assert result.writes == {"bin/a.sh": b"\xff\0"}
    assert result.deletes == {"a.sh"}
    assert result.modes == {"bin/a.sh": "100755"}


def test_a_move_in_letters_only_is_a_move(change):
    assert change({"A.md": "x"}, MoveFile("A.md", "a.md")).deletes == {"A.md"}


def test_later_edits_see_earlier_ones(change):
    result = change(
        {"docs/a.md": "x"},
        MoveFile("docs/a.md", "b.md"),
        ReplaceText("b.md", "x", "y"),
        AddLine("b.md", "z"),
        CreateFile("c.yaml", "k: 1\n"),
        SetKey("c.yaml", "k", "2"),
    )
    assert result.writes == {"b.md": b"y\nz", "c.yaml": b"k: 2\n"}
    assert result.deletes == {"docs/a.md"}


def test_what_ends_as_it_was_is_no_change(change):
    result = change({"a": "1"}, MoveFile("a", "b"), MoveFile("b", "a"))
    assert not result.writes
    assert not result.deletes
    assert change({"a": "1"}, CreateFile("a", "1")).writes == {}


def test_a_removed_path_can_be_made_again(change):
    result = change({"a": "1"}, DeleteFile("a"), CreateFile("a", "2"), modes={"a": "100755"})
    assert result.writes == {"a": b"2"}
    assert result.modes == {"a": "100644"}
    assert not result.deletes


def test_a_link_can_be_moved_and_removed_but_not_written(change):
    modes = {"l": "120000"}
    assert change({"l": "/etc/passwd"}, MoveFile("l", "m"), modes=modes).modes == {"m": "120000"}
    assert change({"l": "/etc/passwd"}, DeleteFile("l"), modes=modes).deletes == {"l"}
    with pytest.raises(EditError, match="link"):
        change({"l": "/etc/passwd"}, ReplaceText("l", "etc", "x"), modes=modes)


@pytest.mark.parametrize(
    ("edit", "code", "hint"),
    [
        (MoveFile("docs/a.md", "b.md"), "exists", "b.md"),
        (MoveFile("b.md", "docs"), "exists", "docs/b.md"),
        (MoveFile("B.md", "c.md"), "no_such_file", "b.md"),
        (MoveFile("docs", "d"), "no_such_file", "folder"),
        (MoveFile("b.md", "docs/a.md/c"), "exists", "docs/a.md is a file"),
        (CreateFile("b.md", "x"), "exists", "b.md"),
        (CreateFile("docs", "x"), "exists", "folder"),
        (DeleteFile("docs/b.md"), "no_such_file", "b.md"),
        (CreateFile("x", "x" * 6_000_000), "too_large", "large"),
    ],
)
def test_files_refuse_with_a_hint(change, edit, code, hint):
    with pytest.raises(EditError) as refused:
        change({"docs/a.md": "x", "b.md": "y"}, edit)
    assert refused.value.code == code
    assert hint in str(refused.value)
