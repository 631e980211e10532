"""Setting keys in INI and .env files: only the value's characters change."""

from __future__ import annotations

import configparser
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.model.edits import SetKey
from lanes.executors.apply_edits import EditError

INI = """\
top = 1
[server]
; why
Timeout = 10 ; seconds
host=a
flag
many =
  a
  b

[tool:pytest]
addopts = "-q"
"""
ENV = """\
# why
export A=1 # one
B="x y" # two
C='q'
D=
KEY="-----
lines
-----"
"""


def ini(key, value, **more):
    return SetKey("app.ini", key, value, **more)


def env(key, value, path=".env", **more):
    return SetKey(path, key, value, **more)


@pytest.mark.parametrize(
    ("key", "value", "before", "after"),
    [
        ("server.Timeout", "30", "10 ; seconds", "30 ; seconds"),
        ("server.host", "b=c", "host=a", "host=b=c"),
        ("server.flag", "on", "flag", "flag = on"),
        ("server.many", "z", "many =\n  a\n  b", "many = z"),
        ("tool:pytest.addopts", "-v", '"-q"', '"-v"'),
        ("top", "2", "top = 1", "top = 2"),
        ("server.new", "1", "  a\n  b\n", "  a\n  b\nnew = 1\n"),
        ("other.x", "1", '"-q"\n', '"-q"\n\n[other]\nx = 1\n'),
    ],
)
def test_only_the_value_changes_in_ini(rewrite, key, value, before, after):
    assert rewrite("app.ini", INI, ini(key, value)) == INI.replace(before, after)


def test_ini_keeps_line_endings_and_a_missing_last_newline(rewrite):
    text = "[a]\r\nb = 1\r\nc = 2"
    assert rewrite("app.ini", text, ini("a.b", "9")) == "[a]\r\nb = 9\r\nc = 2"
    assert rewrite("app.ini", text, ini("a.d", "9")) == "[a]\r\nb = 1\r\nc = 2\r\nd = 9"


@pytest.mark.parametrize(
    ("text", "key", "value", "code"),
    [
        (INI, "server.timeout", "1", "no_such_key"),
        (INI, "server", "1", "bad_value"),
        (INI, "server.host", "a\nb", "bad_value"),
        (INI, "a.b.c", "1", "no_such_key"),
        ("[a]\nb = 1\nb = 2\n", "a.b", "3", "ambiguous"),
        ("[a]\nb =\n  x\n  # why\n  y\n", "a.b", "3", "unsupported_format"),
        ("[a]\n= 1\n", "a.b", "3", "unparsable_file"),
    ],
)
def test_what_is_not_clear_in_ini_is_refused(change, text, key, value, code):
    with pytest.raises(EditError) as refused:
        change({"app.ini": text}, ini(key, value))
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("key", "value", "before", "after"),
    [
        ("A", "2", "A=1 #", "A=2 #"),
        ("A", "x y", "A=1 #", 'A="x y" #'),
        ("B", "z w", '"x y"', '"z w"'),
        ("C", "a'b", "'q'", '"a\'b"'),
        ("D", "5", "D=\n", "D=5\n"),
        ("KEY", "one", '"-----\nlines\n-----"', '"one"'),
        ("NEW", "a b", '-----"\n', '-----"\nNEW="a b"\n'),
    ],
)
def test_only_the_value_changes_in_env(rewrite, key, value, before, after):
    assert rewrite(".env", ENV, env(key, value)) == ENV.replace(before, after)


def test_env_keeps_line_endings_and_a_missing_last_newline(rewrite):
    assert rewrite(".env", "A=1\r\nB=2", env("A", "3")) == "A=3\r\nB=2"
    assert rewrite(".env.local", "A=1\r\nB=2", env("C", "3", path=".env.local")) == "A=1\r\nB=2\r\nC=3"


@pytest.mark.parametrize(
    ("text", "key", "value", "code"),
    [
        ("A=1\nA=2\n", "A", "3", "ambiguous"),
        ("what is this\n", "A", "3", "unparsable_file"),
        ("A=1\n", "1A", "3", "bad_value"),
        ("DATABASE=1\n", "DATABSE", "3", "no_such_key"),
        ("A=1\n", "A", "'\"", "bad_value"),
    ],
)
def test_what_is_not_clear_in_env_is_refused(change, text, key, value, code):
    with pytest.raises(EditError) as refused:
        change({".env": text}, env(key, value))
    assert refused.value.code == code


NAMES = st.text(string.ascii_letters, min_size=1, max_size=6)
WORDS = st.text(string.ascii_letters + string.digits + "./:-", min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(sections=st.dictionaries(NAMES, st.dictionaries(NAMES, WORDS, min_size=1), min_size=1), data=st.data())
def test_every_other_ini_value_stays(rewrite, sections, data):
    section = data.draw(st.sampled_from(sorted(sections)))
    key = data.draw(st.sampled_from(sorted(sections[section])))
    value = data.draw(WORDS)
    text = "".join(
        f"; {name}\n[{name}]\n" + "".join(f"{k} = {v} ; r\n" for k, v in keys.items())
        for name, keys in sections.items()
    )
    after = rewrite("app.ini", text, ini(f"{section}.{key}", value))
    reader = configparser.RawConfigParser(inline_comment_prefixes=(";",), default_section="\0")
    reader.optionxform = str  # type: ignore[assignment,method-assign]
    reader.read_string(after)
    assert {s: dict(reader[s]) for s in reader.sections()} == sections | {section: sections[section] | {key: value}}
    assert after.count(";") == text.count(";")


@settings(max_examples=60, deadline=None)
@given(
    before=st.dictionaries(NAMES, WORDS, min_size=1),
    value=st.text(string.ascii_letters + " #'$.-é", max_size=10),
    data=st.data(),
)
def test_every_other_env_line_stays(rewrite, before, value, data):
    name = data.draw(st.sampled_from(sorted(before)))
    text = "# top\n" + "".join(f"{key}={old} # r\n" for key, old in before.items())
    if "'" in value and "$" in value:  # neither kind of quotes holds both
        with pytest.raises(EditError):
            rewrite(".env", text, env(name, value))
        return
    after = rewrite(".env", text, env(name, value))
    changed = [new for old, new in zip(text.split("\n"), after.split("\n"), strict=True) if old != new]
    assert all(line.startswith(f"{name}=") and line.endswith(" # r") for line in changed)
    assert len(changed) <= 1
    assert rewrite(".env", after, env(name, value)) == after
