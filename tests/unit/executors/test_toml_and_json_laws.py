"""Any key of a TOML or JSON file set to any value in any spelling: other readers see that change, nothing else."""

from __future__ import annotations

import copy
import json
import re
import tomllib
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from core.model.edits import SetKey
from tests import campaign

EXAMPLES: Final = 3_000 if campaign.WHOLE else 150
REFUSALS: Final = ("bad_value", "ambiguous", "unsupported_format")
WORDS: Final = (
    "10", "-3", "+5", "1.5", "1.10", "1e3", "12e5", "0x1F", "0o644", "0b11", "1_000", "inf", "nan", "-inf", "true",
    "True", "yes", "off", "null", "latest", "1.2.3", "2020-01-01", "07:32", "07:32:00", "2020-01-01T07:32:00Z",
    "{{name}}", "${V}", "say 'hi'", 'say "hi"', "C:\\x", "a#b", "a = b", "é", "\x7f", "", " x ", "]", "}", "a\nb",
    "'''", '"""', "\\u00e9",
)  # fmt: skip
VALUES: Final = st.one_of(st.sampled_from(WORDS), st.text("abc019 _.:-+'\"#{}[]=,\\é\n\t", max_size=8))
TOML_OLD: Final = (
    "80", "+5", "-1", "0x1F", "0o644", "0b11", "1_000", "1.5", "6.02e23", "inf", "true", "false", '"latest"', "'a'",
    '"1.0"', '""', '"""x"""', "'''y'''", "2020-01-01", "07:32:00", "2020-01-01T07:32:00Z", '"a # b"', "'C:\\x'",
)  # fmt: skip
JSON_OLD: Final = (
    "80",
    "-1.50",
    "1e3",
    "true",
    "false",
    "null",
    '"latest"',
    '"1.0"',
    '""',
    '"a // b"',
    '"on"',
    '"\\u00e9"',
)


def sort_of(value: object) -> str:
    """A value's type, integers and floating point being one."""
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


@st.composite
def toml_files(draw: Any) -> tuple[str, list[tuple[str, int]]]:
    """A TOML text with remarks, and its keys with their lines."""
    lines, keys = ["# top # r"], []

    def put(prefix: str, name: str) -> None:
        keys.append((prefix + name, len(lines)))
        lines.append(f"{name}{draw(st.sampled_from((' = ', '=')))}{draw(st.sampled_from(TOML_OLD))} # r")

    for name in draw(st.lists(st.sampled_from(("tag", '"a.b/c"', "port")), max_size=3, unique=True)):
        put("", name)
    for table in draw(
        st.lists(st.sampled_from(("server", "server.tls", '"x y"')), min_size=1, max_size=3, unique=True)
    ):
        lines.extend(("", f"[{table}] # r"))
        put(f"{table}.", "size")
        put(f"{table}.", "tag")
        keys.extend(((f"{table}.in.a", len(lines)), (f"{table}.li[1]", len(lines) + 1)))
        lines.append(f"in = {{ a = {draw(st.sampled_from(TOML_OLD))}, b = 1 }} # r")
        lines.append(f'li = [ "x", {draw(st.sampled_from(TOML_OLD))} ] # r')
    return "\n".join(lines) + "\n", keys


@st.composite
def json_files(draw: Any) -> tuple[str, list[tuple[str, int]]]:
    """A JSON text over several lines, and its keys with their lines."""
    lines, keys = ["{"], []
    step = draw(st.sampled_from(("  ", "\t")))
    for name in ("tag", "a.b/c", "port"):
        keys.append((f'"{name}"', len(lines)))
        lines.append(f'{step}"{name}" : {draw(st.sampled_from(JSON_OLD))},')
    lines.append(
        f'{step}"in": {{ "a": {draw(st.sampled_from(JSON_OLD))}, "b":[ 1,{draw(st.sampled_from(JSON_OLD))} ] }}'
    )
    keys.extend((("in.a", len(lines) - 1), ("in.b[1]", len(lines) - 1)))
    return "\n".join([*lines, "}"]) + "\n", keys


def place(document: Any, key: str) -> tuple[Any, Any]:
    """What holds a key, and its name or number there."""
    steps = [name or plain or int(index) for name, plain, index in re.findall(r'"([^"]+)"|([a-z]+)|\[(\d)\]', key)]
    for step in steps[:-1]:
        document = document[step]
    return document, steps[-1]


def check(rewrite: Any, rewritten: Any, read: Any, text: str, edit: SetKey, line: int) -> None:
    """That the edit is refused, or changes its own value alone, within its line, to one of the same type."""
    after_text = rewritten(edit.path, text, edit, *REFUSALS)
    if after_text is None:
        return
    before, after = read(text), read(after_text)
    (holder, name), (now, _) = place(before, edit.key), place(after, edit.key)
    old, new = holder[name], now[name]
    holder[name] = copy.deepcopy(new)
    assert repr(before) == repr(after)
    if edit.quoted or (isinstance(old, str) and new is not None and edit.value[:1] not in ("[", "{")):
        assert new == edit.value
    elif old is not None and new is not None and edit.value[:1] not in ("[", "{"):
        assert sort_of(new) == sort_of(old)
    rows, changed = text.split("\n"), after_text.split("\n")
    assert len(rows) == len(changed)
    assert [n for n, (row, now_row) in enumerate(zip(rows, changed, strict=True)) if row != now_row] in ([], [line])
    assert after_text.count("# r") >= text.count("# r")
    assert rewrite(edit.path, after_text, edit) == after_text


@settings(max_examples=EXAMPLES, deadline=None)
@given(file=toml_files(), value=VALUES, quoted=st.booleans(), data=st.data())
def test_only_the_value_of_a_toml_file_changes_and_keeps_its_type(rewrite, rewritten, file, value, quoted, data):
    text, keys = file
    key, line = data.draw(st.sampled_from(keys))
    check(rewrite, rewritten, tomllib.loads, text, SetKey("a.toml", key, value, quoted=quoted), line)


def check_new(rewritten: Any, read: Any, text: str, edit: SetKey) -> None:
    """That a new key is refused, or is all that is there more: the rest is the text as it was."""
    after_text = rewritten(edit.path, text, edit, *REFUSALS)
    if after_text is None:
        return
    before, after = read(text), read(after_text)
    (_, name), (now, _) = place(after, edit.key), place(after, edit.key)
    assert not edit.quoted or now[name] == edit.value
    now.pop(name)
    assert repr(before) == repr(after)
    start = next((n for n, (a, b) in enumerate(zip(text, after_text, strict=False)) if a != b), len(text))
    assert after_text.endswith(text[start:]), "one piece was put in"


@settings(max_examples=EXAMPLES, deadline=None)
@given(file=toml_files(), value=VALUES, quoted=st.booleans(), data=st.data())
def test_a_new_key_of_a_toml_file_is_all_that_is_added(rewritten, file, value, quoted, data):
    text, keys = file
    tables = sorted({key.rpartition(".")[0] for key, _ in keys if key.endswith(("size", "in.a"))})
    table = data.draw(st.sampled_from(["", *tables]))
    check_new(
        rewritten, tomllib.loads, text, SetKey("a.toml", f"{table}.zzzz".lstrip("."), value, quoted=quoted, new=True)
    )


@settings(max_examples=EXAMPLES, deadline=None)
@given(file=json_files(), value=VALUES, quoted=st.booleans(), table=st.sampled_from(("", "in.")))
def test_a_new_key_of_a_json_file_is_all_that_is_added(rewritten, file, value, quoted, table):
    check_new(rewritten, json.loads, file[0], SetKey("a.json", f"{table}zzzz", value, quoted=quoted, new=True))


@settings(max_examples=EXAMPLES, deadline=None)
@given(file=json_files(), value=VALUES, quoted=st.booleans(), data=st.data())
def test_only_the_value_of_a_json_file_changes_and_keeps_its_type(rewrite, rewritten, file, value, quoted, data):
    text, keys = file
    key, line = data.draw(st.sampled_from(keys))
    check(rewrite, rewritten, json.loads, text, SetKey("a.json", key, value, quoted=quoted), line)
