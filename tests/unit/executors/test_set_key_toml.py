"""Setting keys in TOML: only the value's characters change."""

from __future__ import annotations

import string
import tomllib

import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st

from core.model.edits import SetKey
from lanes.executors.apply_edits import EditError

APP = """\
# top
title = "x"
version = "1.0.0"

[server]
# why
port = 80 # p
host = 'a'
ratio = 0.5
day = 2020-01-01
list = ["a", "b"] # l
in = {a = 1}
long = [
  1, # one
  2,
]

[server.tls]
on = true

[[people]]
name = "z"
"""


def edit(key, value, **more):
    return SetKey("app.toml", key, value, **more)


@pytest.mark.parametrize(
    ("key", "value", "before", "after"),
    [
        ("server.port", "81", "port = 80 # p", "port = 81 # p"),
        ("server.port", "0x1F", "port = 80 # p", "port = 0x1F # p"),
        ("server.host", "b c", "host = 'a'", "host = 'b c'"),
        ("server.host", "it's", "host = 'a'", 'host = "it\'s"'),
        ("title", "y", 'title = "x"', 'title = "y"'),
        ("version", "2.0", '"1.0.0"', '"2.0"'),
        ("server.ratio", "0.75", "0.5", "0.75"),
        ("server.ratio", "inf", "0.5", "inf"),
        ("server.day", "2021-02-03", "2020-01-01", "2021-02-03"),
        ("server.list[1]", "c", '["a", "b"]', '["a", "c"]'),
        ("server.list", '["q"]', '["a", "b"]', '["q"]'),
        ("server.long[0]", "5", "  1, # one", "  5, # one"),
        ("server.in.a", "2", "{a = 1}", "{a = 2}"),
        ("server.in.b", "2", "{a = 1}", "{a = 1, b = 2}"),
        ("server.tls.on", "off", "on = true", "on = false"),
        ("server.tls.on", "False", "on = true", "on = false"),
        ("people[0].name", "y", 'name = "z"', 'name = "y"'),
    ],
)
def test_only_the_value_changes(rewrite, key, value, before, after):
    assert rewrite("app.toml", APP, edit(key, value)) == APP.replace(before, after)


@pytest.mark.parametrize(
    ("key", "value", "after_text", "added"),
    [
        ("server.extra", "x", "  2,\n]\n", 'extra = "x"\n'),
        ("people[0].age", "3", 'name = "z"\n', "age = 3\n"),
        ("since", "1979-05-27", 'version = "1.0.0"\n', "since = 1979-05-27\n"),
        ("other.key", "true", 'name = "z"\n', "\n[other]\nkey = true\n"),
    ],
)
def test_a_new_key_goes_after_its_last_sibling(rewrite, key, value, after_text, added):
    assert rewrite("app.toml", APP, edit(key, value)) == APP.replace(after_text, after_text + added)


@pytest.mark.parametrize(
    ("text", "key", "after"),
    [
        ("", "a", 'a = "v"\n'),
        ("", "a.b", '[a]\nb = "v"\n'),
        ("[b]\nx = 1", "q", 'q = "v"\n\n[b]\nx = 1'),
        ("[a]\n[b]\nx=1", "a.y", '[a]\ny = "v"\n[b]\nx=1'),
        ("a = 1\r\n[b]\r\nc = 1\r\n", "b.d", 'a = 1\r\n[b]\r\nc = 1\r\nd = "v"\r\n'),
        ('\ufeff[b]\nc = "w"', "b.c", '\ufeff[b]\nc = "v"'),
        ('[b]\nc = """x\ny"""\n', "b.c", '[b]\nc = "v"\n'),
        ('[t]\n"a.b" = "w"\n', 't."a.b"', '[t]\n"a.b" = "v"\n'),
    ],
)
def test_every_layout_keeps_its_bytes(rewrite, text, key, after):
    assert rewrite("app.toml", text, edit(key, "v")) == after


def test_a_project_version_stays_text(rewrite):
    text = '[project]\nname = "w"\nversion = "1.0.0"\n'
    assert rewrite("pyproject.toml", text, SetKey("pyproject.toml", "project.version", "2.0")).endswith('"2.0"\n')


@pytest.mark.parametrize("key", ["server.port", "server.long[1]"])
def test_the_same_value_changes_nothing(change, key):
    value = {"server.port": "80", "server.long[1]": "2"}[key]
    assert change({"app.toml": APP}, edit(key, value)).writes == {}


@pytest.mark.parametrize(
    ("text", "key", "value", "code"),
    [
        (APP, "server", "1", "bad_value"),
        (APP, "server.port", "fast", "bad_value"),
        (APP, "server.port", "null", "bad_value"),
        (APP, "server.list", "[1", "bad_value"),
        (APP, "server.long", "[1]", "bad_value"),
        (APP, "server.list", "{" + "a." * 50_000 + "a = 1}", "bad_value"),
        ("a = " + "9" * 5000, "b", "1", "unparsable_file"),
        (APP, "server.prot", "1", "no_such_key"),
        (APP, "port", "1", "no_such_key"),
        (APP, "server.list[9]", "1", "no_such_key"),
        ("a = \n", "a", "1", "unparsable_file"),
        ("a = " + "[" * 5000, "a", "1", "unparsable_file"),
        ("a" + ".a" * 100_000 + " = 1", "b", "1", "unparsable_file"),
        ("a" + ".a" * 200 + " = 1", "b", "1", "unparsable_file"),
    ],
)
def test_what_is_not_clear_is_refused(change, text, key, value, code):
    with pytest.raises(EditError) as refused:
        change({"app.toml": text}, edit(key, value))
    assert refused.value.code == code


NAMES = st.text(string.ascii_lowercase, min_size=1, max_size=6)
SCALARS = st.one_of(st.integers(-999, 999), st.booleans(), st.floats(allow_nan=False), st.text(max_size=8))


@settings(max_examples=60, deadline=None)
@given(
    tables=st.dictionaries(NAMES, st.dictionaries(NAMES, SCALARS, min_size=1, max_size=4), min_size=1, max_size=3),
    data=st.data(),
)
def test_every_other_value_stays(rewrite, tables, data):
    table = data.draw(st.sampled_from(sorted(tables)))
    key = data.draw(st.sampled_from(sorted(tables[table])))
    value = data.draw(st.text(st.characters(codec="utf-8"), max_size=10))
    text = "".join(
        f"# {name}\n[{name}] # t\n" + "".join(f"{k} = {tomlkit.item(v).as_string()} # r\n" for k, v in inner.items())
        for name, inner in tables.items()
    )
    asked = edit(f"{table}.{key}", value, quoted=True)
    after = rewrite("app.toml", text, asked)
    assert tomllib.loads(after) == tables | {table: tables[table] | {key: value}}
    assert after.count("# r\n") >= text.count("# r\n")
    assert rewrite("app.toml", after, asked) == after


def test_a_number_of_any_length_is_no_fault(change):
    with pytest.raises(EditError, match="is a number"):
        change({"app.toml": "a = 1\n"}, edit("a", "9" * 5000))
