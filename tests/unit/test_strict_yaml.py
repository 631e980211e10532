"""Strict YAML: what surprises is refused with file, line and key (security.md 133-137)."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from core.model.errors import ConfigError, Kind
from core.strict_yaml import StrictModel, WordList, load, loads, validate

pytestmark = pytest.mark.law


class Person(StrictModel):
    name: str
    roles: WordList = Field(alias="from")
    age: int = 0


class Sheet(StrictModel):
    version: int
    people: tuple[Person, ...] = ()
    by_name: dict[str, Person] = Field(default_factory=dict)
    ready: bool | None = None


def refused(text: str | bytes) -> ConfigError:
    raw = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(ConfigError) as caught:
        validate(loads(raw, "sheet.yaml"), Sheet)
    assert caught.value.problem.kind is Kind.USAGE
    assert "sheet.yaml" in str(caught.value)
    return caught.value


def test_a_plain_file_becomes_a_model():
    sheet = validate(
        loads(b"version: 1\npeople:\n  - name: ana\n    from: [a, b]\n  - {name: lee, from: c}\n", "x"), Sheet
    )
    assert [p.roles for p in sheet.people] == [("a", "b"), ("c",)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True), ("False", False), ("null", None), ("~", None), ("7", 7), ("-7", -7), ("1.5", 1.5),
        ("1e3", 1000.0), ("012345", "012345"), ("0x1f", "0x1f"), ("0o17", "0o17"), ("12:30:00", "12:30:00"),
        ("2026-05-04", "2026-05-04"), ("1_000", "1_000"), (".inf", ".inf"), (".nan", ".nan"), ("=", "="),
        ('"no"', "no"), ("'on'", "on"), ("nope", "nope"), ("|\n  a\n  b\n", "a\nb\n"),
    ],
)  # fmt: skip
def test_plain_scalars_read_as_in_yaml_1_2(text, value):
    found = loads(f"k: {text}".encode(), "x").tree["k"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("word", ["no", "NO", "No", "yes", "on", "Off", "y", "N"])
@pytest.mark.parametrize("place", ["version: 1\nready: {}\n", "version: 1\n{}: 2\n", "version: 1\npeople: [{}]\n"])
def test_words_that_old_yaml_takes_for_booleans_must_be_quoted(word, place):
    error = refused(place.format(word))
    assert error.line == 2
    assert "true or false" in str(error)
    assert f'"{word}"' in str(error)


@pytest.mark.parametrize(
    ("text", "says", "line"),
    [
        ("version: 1\nversion: 2\n", "appears twice, first on line 1", 2),
        ("version: 1\nby_name:\n  a: {name: x, name: y}\n", "appears twice", 3),
        ("version: &v 1\n", "anchor", 1),
        ("version: *v\n", "alias", 1),
        ("version: 1\n<<: {ready: true}\n", "merge key", 2),
        ("version: !!int 1\n", "tag", 1),
        ("version: !!python/object:os.system 1\n", "tag", 1),
        ("version: ! x\n", "tag", 1),
        ("version: 1\n---\nversion: 2\n", "second document", 2),
        ("%YAML 1.1\n---\nversion: 1\n", "directive", 1),
        ("version: 1\n? [a]\n: 2\n", "as a key", 2),
        ("version: 1\n1: 2\n", "quotes around the key", 2),
        ("version: 1\n?\n: 2\n", "as a key", 2),
        ("version: 9999999999999999999\n", "too large", 1),
        ("version: [\n", "not valid YAML", None),
        ("version: 1\n\tready: true\n", "not valid YAML", 2),
        ("version: 1\x07\n", "hidden character U+0007", 1),
        ("version: 1 # \u202e\n", "hidden character U+202E", 1),
        ("version: 1\u2028ready: true\n", "hidden character U+2028", 1),
        ("", "empty", 1),
        ("# only a comment\n", "empty", 1),
        ("- 1\n", "mapping", 1),
    ],
)
def test_surprises_are_refused_with_their_line(text, says, line):
    error = refused(text)
    assert says in str(error)
    assert line is None or error.line == line


def test_a_thousand_laughs_end_at_the_first_anchor():
    laughs = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"
    assert refused(laughs).line == 1


@pytest.mark.parametrize("text", ["[" * 5000, "k: " + "{a: " * 5000, "- " * 5000 + "x", "[" * 60 + "]" * 60])
def test_deep_nesting_is_an_error_and_no_crash(text):
    assert "nested deeper" in str(refused(text))


def test_nesting_within_bounds_is_read():
    assert loads(b"[" * 50 + b"]" * 50, "x").tree


@pytest.mark.parametrize("raw", ["a: 1".encode("utf-16"), b"\xef\xbb\xbfa: 1", "a: 1".encode("utf-16-le"), b"a: \xff"])
def test_only_utf_8_without_a_mark_is_read(raw):
    refused(raw)


def test_a_file_beyond_a_megabyte_is_refused():
    assert "larger" in str(refused(b"k: " + b"x" * 1_000_000))


def test_a_missing_an_unreadable_and_an_odd_file_are_configuration_errors(tmp_path):
    for name in ("missing.yaml", "."):
        with pytest.raises(ConfigError):
            load(tmp_path / name)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="regular"):
        load(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("text", "key", "line", "says"),
    [
        ("version: 1\npeoplle: []\n", "peoplle", 2, "'people'"),
        ("version: 1\npeople:\n  - name: a\n    form: b\n", "people[0].form", 4, "'from'"),
        ("version: 1\nby_name:\n  a:\n    name: a\n    from: b\n    agee: 1\n", "by_name.a.agee", 6, "'age'"),
        ("version: 1\npeople:\n  - name: a\n", "people[0].from", 3, "missing"),
        ("version: '1'\n", "version", 1, "whole number"),
        ("version: 1.5\n", "version", 1, "whole number"),
        ("version: true\n", "version", 1, "whole number"),
        ("version: 1\nready: 1\n", "ready", 2, "true or false"),
        ("version: 1\npeople:\n  - name: 5\n    from: b\n", "people[0].name", 3, "quotes"),
        ("version: 1\npeople:\n  - name: a\n    from: [b, 7]\n", "people[0].from[1]", 4, "text"),
        ("version: 1\npeople:\n  - name: a\n    from: []\n", "people[0].from", 4, "empty"),
        ("version: 1\npeople:\n  - name: a\n    from: ''\n", "people[0].from", 4, "empty"),
        ("version: 1\npeople:\n", "people", 2, "empty"),
        ("version: 1\nby_name: [a]\n", "by_name", 2, "mapping"),
    ],
)
def test_a_wrong_document_is_told_by_file_line_and_key(text, key, line, says):
    error = refused(text)
    assert (error.key, error.line) == (key, line)
    assert says in str(error)


@given(
    st.text(st.characters(codec="utf-8"), max_size=12).filter(
        lambda k: k not in {"version", "people", "by_name", "ready"}
    )
)
def test_an_unknown_key_is_refused_whatever_it_is(key):
    quoted = "".join(f"\\U{ord(c):08x}" for c in key)
    refused(f'version: 1\n"{quoted}": 1\n')


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_and_never_crash(raw):
    try:
        loads(raw, "x")
    except ConfigError as error:
        assert error.problem.message  # noqa: PT017 - both outcomes are fine; a crash is not
