"""Setting keys in YAML: only the value's characters change."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from core.model.dotted_key import split_key
from core.model.edits import SetKey
from lanes.executors.apply_edits import EditError

APP = """\
# keep me
server:
  timeout: 10   # seconds
  host: a
  tags: [x, 'y']

list:
- x
- name: one
  port: 1
# tail
empty:
with_remark: # why
quoted: 'single'
double: "1.0"
switch: yes
day: 2020-01-01
mode: 0o644
text: | # remark
  one
  two

flow: {a: 1, b: [1, 2]}
"""


def load(text):
    return YAML(typ="safe", pure=True).load(text)


def edit(key, value, **more):
    return SetKey("app.yaml", key, value, **more)


@pytest.mark.parametrize(
    ("key", "value", "before", "after"),
    [
        ("server.timeout", "30", "timeout: 10   # seconds", "timeout: 30   # seconds"),
        ("server.host", "example.com", "host: a", "host: example.com"),
        ("server.timeout", "1e3", "timeout: 10 ", "timeout: 1.0e+3 "),
        ("server.timeout", "0x1F", "timeout: 10 ", "timeout: 0x1F "),
        ("server.host", "true", "host: a", 'host: "true"'),
        ("server.host", "no", "host: a", 'host: "no"'),
        ("server.host", "2024-01-01", "host: a", 'host: "2024-01-01"'),
        ("server.host", "a: b", "host: a", 'host: "a: b"'),
        ("server.host", "a #b", "host: a", 'host: "a #b"'),
        ("server.host", "null", "host: a", "host: null"),
        ("server.tags[1]", "z", "[x, 'y']", "[x, 'z']"),
        ("server.tags.0", "a,b", "[x, 'y']", "[\"a,b\", 'y']"),
        ("server.tags", "[1, 2]", "[x, 'y']", "[1, 2]"),
        ("list[0]", "w", "- x", "- w"),
        ("list[1].port", "2", "port: 1", "port: 2"),
        ("empty", "5", "empty:\n", "empty: 5\n"),
        ("with_remark", "x", "with_remark: # why", "with_remark: x # why"),
        ("quoted", "it's", "'single'", "'it''s'"),
        ("double", "2.0", '"1.0"', '"2.0"'),
        ("switch", "no", "switch: yes", "switch: no"),
        ("day", "2021-02-03", "2020-01-01", "2021-02-03"),
        ("mode", "0o600", "0o644", "0o600"),
        ("text", "short", "| # remark\n  one\n  two\n", "short # remark\n"),
        ("flow.a", "2", "{a: 1", "{a: 2"),
        ("flow.b[1]", "7", "[1, 2]", "[1, 7]"),
    ],
)
def test_only_the_value_changes(rewrite, key, value, before, after):
    assert rewrite("app.yaml", APP, edit(key, value)) == APP.replace(before, after)


@pytest.mark.parametrize(
    ("key", "value", "after_line", "added"),
    [
        ("server.retries", "3", "  tags: [x, 'y']\n", "  retries: 3\n"),
        ("server.tls.cert", "a.pem", "  tags: [x, 'y']\n", "  tls:\n    cert: a.pem\n"),
        ("list[1].zone", "eu", "  port: 1\n", "  zone: eu\n"),
        ("empty.inside", "1", "empty:\n", "  inside: 1\n"),
        ("brand_new", "1", "flow: {a: 1, b: [1, 2]}\n", "brand_new: 1\n"),
    ],
)
def test_a_new_key_goes_after_its_last_sibling(rewrite, key, value, after_line, added):
    assert rewrite("app.yaml", APP, edit(key, value)) == APP.replace(after_line, after_line + added)


def test_a_quoted_number_is_text(rewrite):
    assert 'timeout: "30"   #' in rewrite("app.yaml", APP, edit("server.timeout", "30", quoted=True))


def test_a_new_key_goes_into_a_flow_mapping(rewrite):
    assert 'flow: {a: 1, b: [1, 2], c: "x, y"}' in rewrite("app.yaml", APP, edit("flow.c", "x, y"))


@pytest.mark.parametrize("text", ["", "# only a remark\n", "---\n"])
def test_a_file_without_keys_gets_its_first(rewrite, text):
    assert rewrite("app.yaml", text, edit("a.b", "2")) == text + "a:\n  b: 2\n"


def test_line_endings_mark_and_missing_last_newline_are_kept(rewrite):
    assert rewrite("app.yaml", "\ufeffa: 1\r\nb:\r\n  c: 2", edit("b.d", "3")) == "\ufeffa: 1\r\nb:\r\n  c: 2\r\n  d: 3"


def test_a_dotted_key_of_the_file_is_one_key(rewrite):
    assert rewrite("app.yaml", "server.port: 80\n", edit("server.port", "81")) == "server.port: 81\n"
    assert rewrite("app.yaml", "a:\n  b.c: 1\n", edit('a."b.c"', "2")) == "a:\n  b.c: 2\n"


def test_the_one_document_that_has_the_key_is_edited(rewrite):
    assert rewrite("app.yaml", "a: 1\n---\nb: 2\n", edit("b", "3")) == "a: 1\n---\nb: 3\n"


@pytest.mark.parametrize(("key", "value"), [("server.timeout", "10"), ("quoted", "single"), ("double", "1.0")])
def test_the_same_value_changes_nothing(change, key, value):
    assert change({"app.yaml": APP}, edit(key, value)).writes == {}


@pytest.mark.parametrize(
    ("text", "key", "value", "code", "hint"),
    [
        (APP, "server.timout", "1", "no_such_key", "server.timeout"),
        (APP, "timeout", "1", "no_such_key", "server.timeout"),
        (APP, "server.timeout.x", "1", "no_such_key", "single value"),
        (APP, "list[7]", "1", "no_such_key", "list of 2"),
        (APP, "server", "1", "bad_value", "server.timeout"),
        (APP, "server.timeout", "fast", "bad_value", "number (10)"),
        (APP, "server.tags", "[a", "bad_value", "not a list"),
        (APP, "switch", "maybe", "bad_value", "true or false"),
        ("a: 1\na: 2\n", "a", "3", "ambiguous", "twice"),
        ("a: 1\n---\na: 2\n", "a", "3", "ambiguous", "documents"),
        ("a: 1\n---\nb: 2\n", "c", "3", "ambiguous", "documents"),
        ("a.b: 1\na:\n  b: 2\n", "a.b", "3", "ambiguous", '"a.b"'),
        ("x: &x {k: 1}\ny: *x\n", "y.k", "2", "ambiguous", "alias"),
        ("x: &x {k: 1}\ny: *x\n", "x.k", "2", "ambiguous", "anchor"),
        ("x: &x\n  k: 1\ny:\n  <<: *x\n", "y.k", "2", "ambiguous", "merge"),
        ("x: !vault abc\n", "x", "2", "ambiguous", "!vault"),
        ("a: [\n", "a", "2", "unparsable_file", "app.yaml:"),
        ("a: b: c\n", "a", "2", "unparsable_file", "app.yaml:1"),
        ("[" * 5000, "a", "2", "unparsable_file", "app.yaml"),
        ("a: 1\n" * 300_000, "a", "2", "too_large", "bytes"),
    ],
)
def test_what_is_not_clear_is_refused_with_a_hint(change, text, key, value, code, hint):
    with pytest.raises(EditError) as refused:
        change({"app.yaml": text}, edit(key, value))
    assert refused.value.code == code
    assert hint in str(refused.value)


def test_invalid_utf8_is_refused_with_its_line(change):
    with pytest.raises(EditError, match=r"app\.yaml:2 is not UTF-8"):
        change({"app.yaml": b"a: 1\nb: \xff\n"}, edit("a", "2"))


def test_a_near_key_can_be_added_on_purpose(rewrite):
    assert "  timout: 1\n" in rewrite("app.yaml", APP, edit("server.timout", "1", new=True))


def test_a_new_key_must_not_be_there(change):
    with pytest.raises(EditError) as refused:
        change({"app.yaml": APP}, edit("server.timeout", "1", new=True))
    assert refused.value.code == "exists"


def test_the_old_value_must_be_the_one_named(change, rewrite):
    assert "timeout: 30 " in rewrite("app.yaml", APP, edit("server.timeout", "30", was="10"))
    with pytest.raises(EditError, match="is 10, not 15"):
        change({"app.yaml": APP}, edit("server.timeout", "30", was="15"))


NAMES = st.text(string.ascii_lowercase, min_size=6, max_size=8)  # longer than any word with a meaning
SCALARS = st.one_of(
    st.integers(-1000, 1000),
    st.booleans(),
    st.text("abc 'é#:-,[]{}\"1.0", max_size=10),
    st.sampled_from(["no", "1.0", "2024-01-01", "null", "~", "<<", "0x1F", "- a", "&a", "*a", "!x", "%y", "@z", "yes"]),
)
DOCUMENTS = st.dictionaries(NAMES, st.one_of(SCALARS, st.lists(SCALARS, max_size=3), st.dictionaries(NAMES, SCALARS)))


def scalars(value, path=""):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from scalars(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from scalars(inner, f"{path}[{index}]")
    else:
        yield path


def assign(document, key, value):
    *way, last = [int(p.text) if p.text.isdigit() else p.text for p in split_key(key)]
    for step in way:
        document = document[step]
    document[last] = value


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_every_other_value_and_every_remark_stays(rewrite, data):
    document = data.draw(DOCUMENTS.filter(lambda d: any(True for _ in scalars(d))))
    key = data.draw(st.sampled_from(list(scalars(document))))
    value = data.draw(st.text("abc 'é#:-,[]{}\"1.0\n\\", max_size=12))
    lines: list[str] = []
    _dump(document, lines, "")
    text = "".join(line + "  # remark\n" for line in lines)
    after = rewrite("app.yaml", text, edit(key, value, quoted=True))
    assign(document, key, value)
    assert load(after) == document
    assert after.count("# remark") >= text.count("# remark")
    assert rewrite("app.yaml", after, edit(key, value, quoted=True)) == after
    changed = [new for old, new in zip(text.split("\n"), after.split("\n"), strict=True) if old != new]
    assert len(changed) <= 1


def _dump(document, lines, indent):
    for key, value in document.items():
        if isinstance(value, dict) and value:
            lines.append(f"{indent}{key}:")
            _dump(value, lines, indent + "   ")
        elif isinstance(value, list) and value:
            lines.append(f"{indent}{key}:")
            lines.extend(f"{indent}- {_scalar(item)}" for item in value)
        else:
            lines.append(f"{indent}{key}: {_scalar(value)}")


def _scalar(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(value)
