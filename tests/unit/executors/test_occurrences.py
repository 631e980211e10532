"""Which places a text means: whole words, and nothing inside a longer number, version or identifier (group G3)."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.edits import AddLine, RemoveLine, ReplaceText
from lanes.executors.apply_edits import EditError
from lanes.executors.occurrences import find_occurrences


@pytest.mark.parametrize(
    ("text", "old", "inside"),
    [
        ("keyring==10.5.3", "0.5.3", "10.5.3"),
        ("python 3.11.4", "3.11", "3.11.4"),
        ("^1.0.0", "1.0", "1.0.0"),
        ("port 8080", "80", "8080"),
        ("port 8080", "808", "8080"),
        ("1.2rc1", "1.2", "1.2rc1"),
        ("ip 192.168.0.10", "192.168.0.1", "192.168.0.10"),
        ("sha a3f9", "3", "a3f9"),
        ("python3", "3", "python3"),
        ("v10", "v1", "v10"),
        ("env1", "v1", "env1"),
        ("max_size_bytes", "max_size", "max_size_bytes"),
        ("get_max_size()", "max_size", "get_max_size"),
        ("fooBarBaz", "fooBar", "fooBarBaz"),
        ("x.", "x", ""),
        ("30s, 30 ms, 10MB", "30", ""),
        ("Python 3.11, python3.11-slim", "3.11", ""),
        ("v0.5.3 (0.5.3).", "0.5.3", ""),
        ("foobar", "foo", ""),
        ("max_size = max_size", "max_size", ""),
        ("a=80,443", "443", ""),
        ("2024-01-02", "2024", ""),
        ("colours", "colour", ""),
        ("foo(1)", "foo(", ""),
    ],
)
def test_g3_a_part_of_a_longer_number_or_name_is_named(text, old, inside):
    found = list(find_occurrences(text, old))
    assert found
    assert {each.inside for each in found} == {inside}


@pytest.mark.parametrize(
    ("text", "word", "count"),
    [
        ("art is art, Start", "art", 2),
        ("state-of-the-art “art” (art)", "art", 3),
        ("art_work arté", "art", 0),
        ("10.5.3 0.5.3", "0.5.3", 1),
        ("0.5.3 5", "5", 1),
        ("see 1.0. And 1.0.0", "1.0", 1),
        ("a-b xa-b", "a-b", 1),
        ("$x $xy", "$x", 1),
        ("foo( xfoo(", "foo(", 1),
    ],
)
def test_g3_a_word_is_no_part_of_a_longer_one(text, word, count):
    assert len(list(find_occurrences(text, word, word=True))) == count


def test_g3_a_replacement_in_a_longer_number_is_refused_by_name(change):
    with pytest.raises(EditError) as refused:
        change({"a.txt": "0.5.3 and 10.5.3"}, ReplaceText("a.txt", "0.5.3", "0.5.4"))
    assert refused.value.message == "a.txt has “0.5.3” inside “10.5.3”"
    assert 'the word "0.5.3"' in refused.value.mend
    made = change({"a.txt": "0.5.3 and 10.5.3"}, ReplaceText("a.txt", "0.5.3", "0.5.4", word=True))
    assert made.writes == {"a.txt": b"0.5.4 and 10.5.3"}


def test_g3_in_a_glob_the_file_is_named(change):
    with pytest.raises(EditError, match=r"b\.txt has “80” inside “8080”"):
        change({"a.txt": "80", "b.txt": "8080"}, ReplaceText("*.txt", "80", "81"))


@given(st.text("ab1._ \n", max_size=30), st.text("ab1._", min_size=1, max_size=3))
def test_occurrences_are_what_python_finds(text, wanted):
    assert [each.start for each in find_occurrences(text, wanted)] == _found(text, wanted)


def _found(text: str, wanted: str) -> list[int]:
    starts, at = [], text.find(wanted)
    while at >= 0:
        starts.append(at)
        at = text.find(wanted, at + len(wanted))
    return starts


@pytest.mark.parametrize(
    "edit", [ReplaceText("a", "x", "yz"), ReplaceText("a", "x", "y\nz"), RemoveLine("a", "x", True)]
)
def test_a_large_file_takes_bounded_time(change, edit):
    begun = time.process_time()
    change({"a": b"x." * 200_000}, edit)
    assert time.process_time() - begun < 20


@pytest.mark.parametrize(
    ("content", "said", "after"),
    [
        ("django==5\nflask==3\n", "django==5", "flask==3\n"),
        ("  django==5\r\nflask\n", "django==5", "flask\n"),
        ("a\na b\n", "a", "a b\n"),
    ],
)
def test_g15_the_line_is_the_whole_line(rewrite, content, said, after):
    assert rewrite("a.txt", content, RemoveLine("a.txt", said, whole=True)) == after


@pytest.mark.parametrize(
    ("content", "edit", "code", "part"),
    [
        ("django-extensions==3.2\n", RemoveLine("a", "django", whole=True), "ambiguous", "line 1 is “django-ext"),
        ("- django\n", RemoveLine("a", "django", whole=True), "ambiguous", "line 1 is “- django”"),
        ("flask\n", RemoveLine("a", "django", whole=True), "not_found", "has no line “django”"),
        ("a\na\n", RemoveLine("a", "a", whole=True), "ambiguous", "2 lines “a”: 1, 2"),
        ("x==10.5.3\n", RemoveLine("a", "0.5.3"), "ambiguous", "inside “10.5.3”"),
        ("Start\n", RemoveLine("a", "art", word=True), "not_found", "containing the word “art”"),
    ],
)
def test_g15_a_line_that_is_not_named_in_full_is_asked_about(change, content, edit, code, part):
    with pytest.raises(EditError) as refused:
        change({"a": content}, edit)
    assert (refused.value.code, part in refused.value.message) == (code, True), refused.value.message


@pytest.mark.parametrize(
    ("content", "line", "after"),
    [
        ("## N\n\n- one\n", "two", "## N\n\n- one\n- two\n"),
        ("## N\n\n* one\n\n## E\n", "two", "## N\n\n* one\n* two\n\n## E\n"),
        ("## N\n\n- one\n  - sub\n", "two", "## N\n\n- one\n  - sub\n- two\n"),
        ("## N\n\n1. one\n2. two\n", "three", "## N\n\n1. one\n2. two\n3. three\n"),
        ("## N\n\n- one\n", "* two", "## N\n\n- one\n* two\n"),
        ("## N\n\ntext\n", "two", "## N\n\ntext\n\n- two\n"),
        ("## M\n\n* a\n\n## N\n", "two", "## M\n\n* a\n\n## N\n\n- two\n"),
        ("## N\n\n- one\n", "two\nmore", "## N\n\n- one\n- two\n  more\n"),
    ],
)
def test_g11_a_bullet_is_like_the_others(rewrite, content, line, after):
    assert rewrite("a.md", content, AddLine("a.md", line, "N", item=True)) == after


def test_g11_a_bullet_at_the_end_of_a_file(rewrite):
    assert rewrite("a.md", "* one\n", AddLine("a.md", "two", item=True)) == "* one\n* two\n"
    assert rewrite("a.txt", "one\n", AddLine("a.txt", "two", item=True)) == "one\n- two\n"
