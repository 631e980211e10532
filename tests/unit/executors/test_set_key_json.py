"""Setting keys in JSON: only the value's characters change."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.model.edits import SetKey
from lanes.executors.apply_edits import EditError

APP = """\
{
  "a": 1, "s": {
    "x": "y",
    "price": 1.50
  },
  "l": [1, {"k": null}],
  "e": {}
}
"""


def edit(key, value, path="app.json", **more):
    return SetKey(path, key, value, **more)


@pytest.mark.parametrize(
    ("key", "value", "before", "after"),
    [
        ("a", "2", '"a": 1', '"a": 2'),
        ("a", "null", '"a": 1', '"a": null'),
        ("a", "1e3", '"a": 1', '"a": 1e3'),
        ("s.x", 'z "q"', '"y"', '"z \\"q\\""'),
        ("s.x", "é", '"y"', '"é"'),
        ("s.price", "2.70", "1.50", "2.70"),
        ("s.n", "7", "1.50", '1.50,\n    "n": 7'),
        ("l[1].k", "true", "null", "true"),
        ("l[0]", "{}", "[1,", "[{},"),
        ("e.q", "1", '"e": {}', '"e": {\n    "q": 1\n  }'),
        ("n.m", "x", '"e": {}', '"e": {},\n  "n": {\n    "m": "x"\n  }'),
    ],
)
def test_only_the_value_changes(rewrite, key, value, before, after):
    assert rewrite("app.json", APP, edit(key, value)) == APP.replace(before, after)


@pytest.mark.parametrize(
    ("text", "key", "after"),
    [
        ('{"a":1}', "b.c", '{"a":1, "b":{"c":"v"}}'),
        ('{\r\n\t"a": 1\r\n}', "b", '{\r\n\t"a": 1,\r\n\t"b": "v"\r\n}'),
        ('{\n\t"a": 1, // one\n}\n', "b", '{\n\t"a": 1, // one\n\t"b": "v",\n}\n'),
        ('{\n\t"a": 1 // one\n}\n', "b", '{\n\t"a": 1, // one\n\t"b": "v"\n}\n'),
        ('{"editor.size": 1}', "editor.font", '{"editor.size": 1, "editor.font": "v"}'),
        ('\ufeff{"a": "x"}', "a", '\ufeff{"a": "v"}'),
    ],
)
def test_every_layout_keeps_its_bytes(rewrite, text, key, after):
    assert rewrite("app.json", text, edit(key, "v")) == after


@pytest.mark.parametrize(
    ("text", "key", "value", "code"),
    [
        ('{"a": 1, "a": 2}', "a", "x", "ambiguous"),
        ('{"a": 1,} x', "a", "2", "unparsable_file"),
        ('{"a": NaN}', "a", "2", "unparsable_file"),
        ("[" * 100_000, "a", "2", "unparsable_file"),
        (APP, "s", "1", "bad_value"),
        (APP, "l", "[1", "bad_value"),
        (APP, "a", "fast", "bad_value"),
        (APP, "s.X", "1", "no_such_key"),
        (APP, "a.b", "1", "no_such_key"),
    ],
)
def test_what_is_not_clear_is_refused(change, text, key, value, code):
    with pytest.raises(EditError) as refused:
        change({"app.json": text}, edit(key, value))
    assert refused.value.code == code


def test_other_files_are_refused_with_what_to_say(change):
    with pytest.raises(EditError, match="replace") as refused:
        change({"a.xml": "<a/>"}, edit("a", "1", path="a.xml"))
    assert refused.value.code == "unsupported_format"


VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=6)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=8,
)


@settings(max_examples=80, deadline=None)
@given(
    rest=st.dictionaries(st.text(max_size=4), VALUES, max_size=4),
    old=st.text(max_size=5),
    new=st.text(st.characters(codec="utf-8"), max_size=8),
    indent=st.sampled_from([None, 1, 2, "\t"]),
    ascii_only=st.booleans(),
)
def test_every_other_value_stays(rewrite, rest, old, new, indent, ascii_only):
    document = rest | {"wanted key": {"inner": old}}
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_only).encode(errors="replace").decode()
    document = json.loads(text)
    asked = edit('"wanted key".inner', new, quoted=True)
    after = rewrite("app.json", text, asked)
    assert json.loads(after) == document | {"wanted key": {"inner": new}}
    assert rewrite("app.json", after, asked) == after
