"""Edits as values: what they refuse, name, say and look like as JSON."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.dotted_key import KeyPart, KeyTextError, split_key
from core.model.edit_description import describe
from core.model.edits import (
    AddLine,
    BumpPackage,
    CreateFile,
    DeleteFile,
    MoveFile,
    RemoveLine,
    ReplaceText,
    SetKey,
    from_json,
    is_glob,
    paths_named,
    to_json,
)
from core.model.repository_path import PathError, check_path

PART = st.text("abcXYZ019_-. é", min_size=1, max_size=8).map(str.strip).filter(lambda p: p.strip(". "))
PATHS = st.lists(PART, min_size=1, max_size=4).map("/".join)
TEXT = st.text(max_size=20)
FILLED = TEXT.filter(str.strip)
WORD = st.from_regex(r"[A-Za-z0-9._-]{1,10}", fullmatch=True)
KEYS = st.lists(st.from_regex(r"[a-z_0-9-]{1,6}", fullmatch=True), min_size=1, max_size=4).map(".".join)
EDITS = st.one_of(
    st.builds(SetKey, PATHS, KEYS, TEXT, st.booleans(), st.none() | TEXT, st.booleans()),
    st.builds(ReplaceText, PATHS, FILLED, TEXT),
    st.builds(AddLine, PATHS, TEXT, st.none() | TEXT),
    st.builds(RemoveLine, PATHS, FILLED, st.booleans()),
    st.builds(MoveFile, PATHS, PATHS),
    st.builds(DeleteFile, PATHS),
    st.builds(BumpPackage, WORD, WORD, st.none() | PATHS, st.booleans(), st.none() | WORD),
    st.builds(CreateFile, PATHS, TEXT),
)


@given(EDITS)
def test_json_gives_the_same_edit_back(edit):
    assert from_json(to_json(edit)) == edit


@given(EDITS)
def test_a_description_is_one_printable_line(edit):
    said = describe(edit)
    assert said
    assert len(said) < 1000
    assert "\n" not in said


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"kind": "format_disk"},
        {"kind": ["set_key"]},
        {"kind": "delete_file"},
        {"kind": "delete_file", "path": 1},
        {"kind": "delete_file", "path": None},
        {"kind": "delete_file", "path": "a", "force": True},
        {"kind": "delete_file", "path": "../a"},
        {"kind": "delete_file", "path": "a", 1: 2},
        {"kind": "set_key", "path": "a", "key": "b", "value": 30},
        {"kind": "set_key", "path": "a", "key": "b", "value": "30", "quoted": 1},
        {"kind": "set_key", "path": "a", "key": "b..c", "value": "30"},
        {"kind": "replace_text", "target": "a", "old": "", "new": "x"},
        {"kind": "remove_line", "path": "a", "containing": " "},
        {"kind": "bump_package", "package": "a b", "version": "1"},
        {"kind": "bump_package", "package": "a", "version": "1", "path": "/etc/x"},
        {"kind": "move_file", "source": "a", "target": ".git/config"},
    ],
)
def test_json_that_is_no_edit_is_refused(document):
    with pytest.raises(ValueError):
        from_json(document)


def test_fields_at_their_default_may_be_left_out():
    assert from_json({"kind": "set_key", "path": "a", "key": "b", "value": "1"}) == SetKey("a", "b", "1")
    assert to_json(DeleteFile("a")) == {"kind": "delete_file", "path": "a"}


@pytest.mark.parametrize(
    "path",
    ["a", "a/b.c", ".github/workflows/ci.yml", "docs/**/*.md", ".gitignore", "a b/ü.md", "-x", "app/[id]/page.tsx"],
)
def test_paths_inside_the_repository_pass(path):
    assert check_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        *("", "/a", "a//b", "a/", "./a", "a/.", "../a", "a/../b", "a\\b", "C:/x", "c:x", "~/x"),
        *("a\nb", "a\0b", "a\x1b[0m", "a\u200bb", "\u202ea", "\U000e0041", "\ud800"),
        *(".git", ".git/config", "a/.GIT/b", ".git.", ".git ", "GIT~1", "\uff0egit", "a/ b", "x" * 2000),
    ],
)
def test_paths_that_lead_elsewhere_are_refused_with_a_sentence(path):
    with pytest.raises(PathError) as refused:
        check_path(path)
    assert str(refused.value).endswith(".")
    assert "\n" not in str(refused.value)


@given(st.text())
def test_a_path_is_refused_in_one_way_only(path):
    with contextlib.suppress(PathError):
        assert check_path(path) == path


@pytest.mark.parametrize(
    ("key", "parts"),
    [
        ("a", [("a", False)]),
        ("a.b.0", [("a", False), ("b", False), ("0", False)]),
        ("a[2].b", [("a", False), ("2", False), ("b", False)]),
        ("[0].b", [("0", False), ("b", False)]),
        ('a."b.c".d', [("a", False), ("b.c", True), ("d", False)]),
        ("a['b]c'][1]", [("a", False), ("b]c", True), ("1", False)]),
        ("tool:pytest.addopts", [("tool:pytest", False), ("addopts", False)]),
    ],
)
def test_keys_are_split_at_dots_and_brackets(key, parts):
    assert split_key(key) == tuple(KeyPart(text, literal) for text, literal in parts)


@pytest.mark.parametrize(
    "key", ["", ".", "a.", ".a", "a..b", "a[", "a[]", "a[x]", 'a."b', 'a."b"c', "a]b", "a[1]b", "\n"]
)
def test_keys_with_empty_or_stray_parts_are_refused(key):
    with pytest.raises(KeyTextError):
        split_key(key)


@given(st.text("ab.[]'\"0 ", max_size=30))
def test_a_key_is_refused_in_one_way_only(key):
    with contextlib.suppress(KeyTextError):
        assert split_key(key)


@pytest.mark.parametrize(
    ("edit", "paths"),
    [
        (MoveFile("a", "b"), ("a", "b")),
        (ReplaceText("a", "x", "y"), ("a",)),
        (ReplaceText("*.md", "x", "y"), ()),
        (BumpPackage("a", "1"), ()),
        (BumpPackage("a", "1", "r.txt"), ("r.txt",)),
        (SetKey("a", "b", "c"), ("a",)),
        (CreateFile("a", ""), ("a",)),
    ],
)
def test_the_paths_that_an_edit_names(edit, paths):
    assert paths_named(edit) == paths


def test_brackets_are_no_wildcards():
    assert is_glob("a/*.md")
    assert is_glob("a?.md")
    assert not is_glob("app/[id]/page.tsx")


def test_descriptions_read_as_requests():
    assert describe(SetKey("a.yaml", "k", "1")) == "set k to 1 in a.yaml"
    assert describe(SetKey("a.yaml", "k", "1", quoted=True)) == 'set k to "1" in a.yaml'
    assert describe(BumpPackage("a", "1", exact=True)) == "pin a to 1"
    assert describe(AddLine("a.md", "x\ny", "H")) == 'add the line "x\\ny" to a.md under "H"'
