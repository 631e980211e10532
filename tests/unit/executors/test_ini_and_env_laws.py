"""Any key of an INI or .env file set to any value: other readers see that value change, and nothing else."""

from __future__ import annotations

import configparser
import io
from typing import Any, Final

from dotenv import dotenv_values
from hypothesis import given, settings
from hypothesis import strategies as st

from core.model.edits import SetKey
from tests import campaign

EXAMPLES: Final = 3_000 if campaign.WHOLE else 150
WORDS: Final = (
    "30", "on", "x y", "x ; y", "x # y", "#fff", ";x", "  x", "x  ", "", "a=b", "a:b", "[x]", "it's", 'say "hi"',
    "C:\\x", "é", "${APP}", "${APP} Team", "$APP", "pa$$word", "${A:-b c}", "%(x)s", "50%", "a\\", "${", "`x`", "a#b",
    "'x'", '"x"', "export X",
)  # fmt: skip
VALUES: Final = st.one_of(st.sampled_from(WORDS), st.text("abc09 _.:-+'\"#;{}$[]=,\\é\n\t%", max_size=8))
OLD: Final = ("10", "a b", '"a b"', "'c'", "", "x=y", "#abc", "a;b", "%(home)s/x")
TAILS: Final = ("", "", " ; note", " ;note", " # note", "\t#note")
BETWEEN: Final = (" = ", "=", ": ", " =", "  =  ")


@st.composite
def ini_files(draw: Any) -> tuple[str, list[tuple[str, str, int]]]:
    """An INI text with remarks, and each section and key with its line."""
    lines, keys = ["; top", "# top"], []
    for section in draw(st.lists(st.sampled_from(("PHP", "tool:pytest", "a.b")), min_size=1, max_size=3, unique=True)):
        lines.extend(("", f"[{section}]", "; inside"))
        for key in draw(
            st.lists(st.sampled_from(("max", "Timeout", "x-y", "p.q")), min_size=1, max_size=3, unique=True)
        ):
            keys.append((section, key, len(lines)))
            old = draw(st.sampled_from(OLD))
            lines.append(key + draw(st.sampled_from(BETWEEN)) + old + (draw(st.sampled_from(TAILS)) if old else ""))
    ending = draw(st.sampled_from(("\n", "\r\n")))
    return ending.join(lines) + draw(st.sampled_from((ending, ""))), keys


def readings(text: str) -> list[dict[str, dict[str, str]]]:
    """What Python reads in an INI text by its two rules for remarks behind a value."""
    found = []
    for remarks in (None, ("#", ";")):
        reader = configparser.RawConfigParser(inline_comment_prefixes=remarks, default_section="\0")
        reader.optionxform = str  # type: ignore[assignment,method-assign]
        reader.read_string(text)
        found.append({section: dict(reader[section]) for section in reader.sections()})
    return found


@settings(max_examples=EXAMPLES, deadline=None)
@given(file=ini_files(), value=VALUES, data=st.data())
def test_only_the_value_of_an_ini_file_changes(rewrite, rewritten, file, value, data):
    text, keys = file
    section, key, line = data.draw(st.sampled_from(keys))
    edit = SetKey("a.ini", f'"{section}"."{key}"', value)
    after_text = rewritten("a.ini", text, edit, "bad_value", "unsupported_format")
    if after_text is None:
        return
    for remarks, before, after in zip((False, True), readings(text), readings(after_text), strict=True):
        old, before[section][key] = before[section][key], after[section][key]
        assert before == after
        is_quoted = old[:1] in ("'", '"') and old[:1] in old[1:] and not (value and old.startswith(value))
        quote = old[:1] if is_quoted else ""
        if not (
            remarks and (quote or value[:1] in ("#", ";"))
        ):  # Python sees remarks in quotes too; git and PHP do not
            assert after[section][key].startswith(quote + value + quote), "nothing is cut off, the quotes stay"
        if remarks and not quote and value[:1] not in ("#", ";"):
            assert after[section][key] == value
    rows, changed = text.split("\n"), after_text.split("\n")
    assert [n for n, (row, new) in enumerate(zip(rows, changed, strict=True)) if row != new] in ([], [line])
    assert after_text.count("note") == text.count("note")
    assert rewrite("a.ini", after_text, edit) == after_text


ENV_OLD: Final = ("1", '"x y"', "'q'", "", '"${APP} x"', "${APP}", "a$B", "'${APP}'", '"pa ss"', "-x")


@st.composite
def env_files(draw: Any) -> tuple[str, list[tuple[str, str, int]]]:
    """A .env text with remarks, and each variable with its old spelling and its line."""
    lines, keys = ["# top", "APP=shop"], []
    for name in draw(st.lists(st.sampled_from(("A", "MAIL_NAME", "b", "X1")), min_size=1, max_size=4, unique=True)):
        old = draw(st.sampled_from(ENV_OLD))
        keys.append((name, old, len(lines)))
        lines.append(f"{draw(st.sampled_from(('', 'export ')))}{name}={old}{draw(st.sampled_from((' # note', '')))}")
        lines.append("# between")
    ending = draw(st.sampled_from(("\n", "\r\n")))
    return ending.join(lines) + ending, keys


def variables(text: str, *, expand: bool) -> dict[str, str | None]:
    """What python-dotenv reads, with or without putting in `${NAME}`."""
    return dict(dotenv_values(stream=io.StringIO(text), interpolate=expand))


@settings(max_examples=EXAMPLES, deadline=None)
@given(file=env_files(), value=VALUES, data=st.data())
def test_only_the_value_of_an_env_file_changes_and_expands_as_before(rewrite, rewritten, file, value, data):
    text, keys = file
    name, old, line = data.draw(st.sampled_from(keys))
    edit = SetKey(".env", name, value, quoted=True)
    after_text = rewritten(".env", text, edit, "bad_value")
    if after_text is None:
        return
    before, after = (variables(version, expand=False) for version in (text, after_text))
    assert after == before | {name: value}
    rows, changed = text.split("\n"), after_text.split("\n")
    assert [n for n, (row, new) in enumerate(zip(rows, changed, strict=True)) if row != new] in ([], [line])
    spelled = changed[line].split("=", 1)[1]
    if old.startswith("'") and "$" in value:
        assert spelled.startswith("'"), "what was literal stays so"
    if "${APP}" in value and not old.startswith("'"):
        assert "shop" in (variables(after_text, expand=True)[name] or ""), "what a reader puts in stays so"
        assert not spelled.startswith("'")
    if value == "pa$$word" and old in ("1", '"x y"', "-x", ""):
        assert spelled.startswith("'"), "a dollar sign that stands for itself is not put in double quotes"
    assert rewrite(".env", after_text, edit) == after_text
