"""Any key of a YAML file set to any value in any spelling: two other readers see that value change and nothing else."""

from __future__ import annotations

import re
from typing import Any, Final

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from core.model.edits import SetKey
from tests import campaign

EXAMPLES: Final = 3_000 if campaign.WHOLE else 120
REFUSALS: Final = ("bad_value", "ambiguous", "unsupported_format")
NUMBERS: Final = (
    "0", "10", "-3", "+5", "1.5", "3.10", "1e3", "12e5", "1.0e+3", ".5", "1.", "0644", "0755", "0o644", "0x1F",
    "0b11", "1_000", ".inf", "-.inf", ".nan", "08", "1_0.5",
)  # fmt: skip
WORDS: Final = ("true", "false", "True", "yes", "no", "on", "off", "y", "null", "~", "Null", "TRUE", "NO")
TEXTS: Final = (
    "app", "latest", "1.2.3", "v1.10", "abcdef", "12:30", "22:22", "2020-01-01", "{{name}}", "{{ name }}", "${VAR}",
    "$VAR", "!Ref Name", "&a", "*a", "a: b", "a #b", "- x", "? x", "| x", "> x", "%x", "@x", "`x`", "it's",
    'say "hi"', "C:\\x", "a,b", "[x", "{% if %}", "<<", "=", "é", "😀", " x", "x ", "", "-", "---", "...", "#x",
    "a\tb",
)  # fmt: skip
VALUES: Final = st.one_of(
    st.sampled_from(NUMBERS + WORDS + TEXTS),
    st.text("abc019 _.:-+'\"#{}[]&*!|>%@,\\éx\n", max_size=8),
    st.from_regex(r"[0-9a-f]{7}", fullmatch=True),
    st.from_regex(r"[0-9]{1,3}\.[0-9]{1,3}(\.[0-9]{1,2})?", fullmatch=True),
)
PLAIN: Final = st.sampled_from(
    NUMBERS + WORDS + ("app", "latest", "1.2.3", "abcdef0", "a b", "${VAR}", "22:22", "2020-01-01", "12e5", "se")
)
OLD: Final = st.one_of(
    PLAIN,
    st.sampled_from(TEXTS + NUMBERS + WORDS).map(lambda text: "'" + text.replace("'", "''") + "'"),
    st.sampled_from(NUMBERS + WORDS + ("latest", "", "{{ x }}", "${A}")).map(lambda text: f'"{text}"'),
)
ANCHOR: Final = st.sampled_from(("", "", "", "&un "))
HEADS: Final = ("name", "n.io/buf-size", "on", "a.b", "image", "x-y")


@st.composite
def files(draw: Any) -> tuple[str, list[tuple[str, tuple[int, ...]]]]:
    """A YAML text with remarks, and each key that can be set with the lines that its value stands on."""
    lines: list[str] = ["# top  # r"]
    keys: list[tuple[str, tuple[int, ...]]] = []
    for name in draw(st.lists(st.sampled_from(HEADS), min_size=1, max_size=4, unique=True)):
        spelled = f'"{name}"'
        kind = draw(st.sampled_from(("scalar", "scalar", "map", "list", "flow", "block", "empty")))
        if kind == "scalar":
            keys.append((spelled, (len(lines),)))
            lines.append(f"{_key(name)}: {_anchored(draw)}  # r")
        elif kind == "map":
            lines.append(f"{_key(name)}:   # r")
            for inner in ("tag", "size"):
                keys.append((f"{spelled}.{inner}", (len(lines),)))
                lines.append(f"    {inner}: {_anchored(draw)} # r")
        elif kind == "list":
            lines.append(f"{_key(name)}:")
            for index in range(2):
                keys.append((f"{spelled}[{index}]", (len(lines),)))
                lines.append(f"  -  {_anchored(draw)} # r")
        elif kind == "flow":
            quoted = ["'" + draw(st.sampled_from(("a", "1.10", "off"))) + "'", draw(st.sampled_from(NUMBERS + WORDS))]
            keys.extend((f"{spelled}[{index}]", (len(lines),)) for index in range(2))
            lines.append(f"{_key(name)}: [{quoted[0]}, {quoted[1]}] # r")
        elif kind == "block":
            keys.append((spelled, tuple(range(len(lines), len(lines) + 3))))
            lines.extend((f"{_key(name)}: | # r", "  one", "  two"))
        else:
            keys.append((spelled, (len(lines),)))
            lines.append(f"{_key(name)}:  # r")
        lines.append("# between  # r")
    return "\n".join(lines) + "\n", keys


def _key(name: str) -> str:
    return f'"{name}"' if name == "on" else name


def _anchored(draw: Any) -> str:
    mark = draw(ANCHOR)
    anchor = f"&u{draw(st.integers(0, 10**9))} " if mark else ""
    return f"{anchor}{draw(OLD)}"


def old_readers(text: str) -> Any:
    """What a reader of YAML 1.1 sees."""
    return yaml.safe_load(text)


def new_readers(text: str) -> Any:
    """What a reader of YAML 1.2 sees."""
    return YAML(typ="safe", pure=True).load(text)


def place(document: Any, key: str) -> tuple[Any, str | int]:
    """The mapping or list that holds a key, and its name or number there."""
    steps = [name or inner or int(index) for name, inner, index in re.findall(r'"([^"]+)"|\.(\w+)|\[(\d)\]', key)]
    for step in steps[:-1]:
        document = document[step]
    return document, steps[-1]


def sort_of(value: object) -> str:
    """A value's type, integers and floating point being one."""
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


@settings(max_examples=EXAMPLES, deadline=None)
@given(file=files(), value=VALUES, quoted=st.booleans(), data=st.data())
def test_only_the_value_changes_and_keeps_its_type(rewrite, rewritten, file, value, quoted, data):
    text, keys = file
    key, lines = data.draw(st.sampled_from(keys))
    try:
        before = [read(text) for read in (old_readers, new_readers)]
    except (ValueError, yaml.YAMLError):  # 2020-99-99
        return
    check(rewrite, rewritten, text, SetKey("a.yaml", key, value, quoted=quoted), lines, before)


@settings(max_examples=EXAMPLES, deadline=None)
@given(file=files(), value=VALUES, quoted=st.booleans())
def test_a_new_key_is_all_that_is_added(rewritten, file, value, quoted):
    text, _ = file
    after_text = rewritten("a.yaml", text, SetKey("a.yaml", "zzzz", value, quoted=quoted, new=True), *REFUSALS)
    if after_text is None:
        return
    for read in (old_readers, new_readers):
        try:
            before, after = read(text), read(after_text)
        except (ValueError, yaml.YAMLError):  # 2020-99-99
            return
        added = after.pop("zzzz")
        assert added == value or not quoted
        assert repr(before) == repr(after)
    start = next((n for n, (a, b) in enumerate(zip(text, after_text, strict=False)) if a != b), len(text))
    assert after_text.endswith(text[start:]), "one piece was put in"


def check(rewrite, rewritten, text, edit, lines, before):
    after_text = rewritten("a.yaml", text, edit, "bad_value", "ambiguous", "unsupported_format")
    if after_text is None:
        return
    after = [read(after_text) for read in (old_readers, new_readers)]
    sorts = []
    for old, new in zip(before, after, strict=True):
        (holder, name), (now, _) = place(old, edit.key), place(new, edit.key)
        sorts.append((sort_of(holder[name]), sort_of(now[name])))
        if edit.quoted:
            assert now[name] == edit.value
        holder[name] = now[name]
        assert repr(old) == repr(new)
    stays_a_type(edit, sorts)
    rows, changed = text.split("\n"), after_text.split("\n")
    assert changed[: lines[0]] == rows[: lines[0]]
    assert changed[len(changed) - len(rows) + lines[-1] + 1 :] == rows[lines[-1] + 1 :]
    assert after_text.count("# r") >= text.count("# r")
    assert sorted(re.findall(r"&u\d+", after_text)) == sorted(re.findall(r"&u\d+", text))
    assert rewrite("a.yaml", after_text, edit) == after_text


def stays_a_type(edit, sorts):
    """What all readers took for one type stays it for all of them; what they took for two stays so for one of them."""
    if edit.quoted:
        assert {new for _, new in sorts} == {"str"}
    elif edit.value.casefold() == "null" or edit.value[:1] == "[":
        return
    elif len({old for old, _ in sorts}) == 1:
        assert sorts[0][0] == "NoneType" or all(old == new for old, new in sorts), sorts
    else:
        assert any(old == new for old, new in sorts), sorts
    if edit.value[:1].isdigit() and not edit.quoted and sorts[0][0] == sorts[1][0] == "NoneType":
        assert len({new for _, new in sorts}) == 1
