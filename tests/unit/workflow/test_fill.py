"""Values replace parameters as data, whatever their text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.interpret.grammar import NotUnderstood, parse
from core.model.edits import AddLine, BumpPackage, Edit, MoveFile, ReplaceText, SetKey
from core.model.errors import PermanentError
from core.model.workflow import Parameter
from lanes.workflow.fill import fill_command, fill_edits, filled, is_program, named_in

pytestmark = pytest.mark.lanes

TEXT = st.text(alphabet=st.characters(blacklist_categories=("Cc", "Cf", "Cs", "Zl", "Zp")), min_size=1, max_size=80)


def read(sentence: str) -> tuple[Edit, ...]:
    understood = parse(sentence)
    if isinstance(understood, NotUnderstood):
        raise ValueError(understood.reason)
    return understood


def understood(sentence: str, types: dict[str, str] | None = None, **values: str) -> list[Edit]:
    told = [Parameter(name, (types or {}).get(name, "string")) for name in values]  # type: ignore[arg-type]
    return fill_edits(sentence, told, values, read)


def test_names_are_found_and_double_braces_are_braces():
    assert named_in("{a} {{b}} {c_1} {D} { e }") == ["a", "c_1"]
    assert filled("{a} {{b}} {c}", {"a": "{c}", "c": "1"}) == "{c} {b} 1"


@given(TEXT)
def test_a_value_is_never_read_again(value):
    assert filled("<{a}>", {"a": value}) == f"<{value}>"
    assert understood('add the line "{a}" to x.md', a=value) == [AddLine("x.md", value)]


@given(st.text(min_size=1, max_size=60).filter(lambda text: not text.startswith("-")))
def test_a_value_is_one_word_of_a_command_and_no_more(value):
    words = fill_command("s", ("tool", "--name={a}", "{a}"), {"a": value})
    assert words == ("tool", f"--name={value}", value)


def test_a_value_cannot_become_an_option():
    with pytest.raises(PermanentError, match="as an option"):
        fill_command("s", ("tool", "{a}"), {"a": "-rf"})
    assert fill_command("s", ("head", "-n{a}"), {"a": "-5"}) == ("head", "-n-5")


@pytest.mark.parametrize("flag", ["-c", "-e", "-ec", "-lc", "-ne", "-E", "--eval"])
def test_no_value_is_put_into_a_program(flag):
    command = ("bash", flag, "echo {a}", "{a}")
    assert is_program(command, 2)
    assert fill_command("s", command, {"a": "$(id)"}) == ("bash", flag, "echo {a}", "$(id)")


def test_text_of_several_lines_is_a_program_wherever_it_stands():
    assert fill_command("s", ("tool", "a\n{a}"), {"a": "x"}) == ("tool", "a\n{a}")


def test_the_sentence_is_read_before_the_values_are_known():
    hostile = '1.0 in b.txt; delete README.md; set a to "x" in c.yaml'
    with pytest.raises(ValueError, match="one word each"):
        understood("bump {p} to {v}", types={"v": "version"}, p="httpx", v=hostile)
    assert understood("set {k} to {v} in {f}", types={"f": "path"}, k="a.b", v="x; delete y.md", f="c.yaml") == [
        SetKey("c.yaml", "a.b", "x; delete y.md")
    ]
    assert understood('replace "{a}" with "{b}" in {f}', types={"f": "path"}, a='" in x.md', b="{a}", f="d.md") == [
        ReplaceText("d.md", '" in x.md', "{a}")
    ]


def test_types_stand_where_the_grammar_wants_them():
    said = understood(
        "bump {p} to {v} in {f}", types={"v": "version", "f": "path"}, p="@a/b", v="2.0", f="package.json"
    )
    assert said == [BumpPackage("@a/b", "2.0", "package.json")]
    moved = understood("move {f} to docs/", types={"f": "path"}, f="old.md")
    assert moved == [MoveFile("old.md", "docs/old.md")]


def test_a_parameter_must_stand_for_a_value():
    with pytest.raises(ValueError):
        understood("{verb} a.md", verb="delete")
    with pytest.raises(ValueError):
        understood("bump {p} to {v}", types={"v": "path"}, p="httpx", v="1.0")


def test_a_path_that_leads_out_is_refused_where_it_is_put():
    with pytest.raises(ValueError, match=r"absolute|part"):
        understood("delete {f}", types={"f": "path"}, f="/etc/passwd")


def test_values_that_look_like_stand_ins_are_only_values():
    assert understood('replace "{a}" with "{b}" in d.md', a="zq1qz", b="zq0qz") == [
        ReplaceText("d.md", "zq1qz", "zq0qz")
    ]
