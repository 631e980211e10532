"""Variants of the cases of the formats."""

from __future__ import annotations

import pytest

from core.model.edits import AddLine, BumpPackage, ReplaceText, SetKey
from lanes.executors.apply_edits import EditError


@pytest.mark.parametrize(
    ("path", "before", "value", "after"),
    [
        # text stays text, in its quotes
        ("a.yaml", "k: latest\n", "1.10", 'k: "1.10"\n'),
        ("a.yaml", "k: 'latest'\n", "1.10", "k: '1.10'\n"),
        ("a.yaml", "k: se\n", "no", 'k: "no"\n'),
        ("a.yaml", "k: abcdef0\n", "1234567", 'k: "1234567"\n'),
        ("a.yaml", 'k: "0644"\n', "0755", 'k: "0755"\n'),
        ("a.yaml", 'k: ""\n', "on", 'k: "on"\n'),
        ("a.yaml", "k: 22:22\n", "80:80", "k: 80:80\n"),
        ("a.yaml", "k: |\n  x\n", "1.10", 'k: "1.10"\n'),
        ("a.json", '{"k": "1"}\n', "2", '{"k": "2"}\n'),
        ("a.json", '{"k": "yes"}\n', "no", '{"k": "no"}\n'),
        ("a.json", '{"k": "caf\\u00e9"}\n', "né", '{"k": "n\\u00e9"}\n'),
        ("a.toml", "k = 'x'\n", "3.10", "k = '3.10'\n"),
        ("a.toml", 'k = "x"\n', "2020-01-01", 'k = "2020-01-01"\n'),
        # numbers stay numbers
        ("a.yaml", "k: 0644\n", "0755", "k: 0755\n"),
        ("a.yaml", "k: 0o644\n", "420", "k: 420\n"),
        ("a.yaml", "k: 0b11\n", "0b10", "k: 0b10\n"),
        ("a.yaml", "k: 1_000\n", "2_000", "k: 2_000\n"),
        ("a.yaml", "k: .inf\n", "5", "k: 5\n"),
        ("a.yaml", "k: 5\n", ".inf", "k: .inf\n"),
        ("a.yaml", "k: 1.50\n", "1.60", "k: 1.60\n"),
        ("a.toml", "k = 1_000\n", "2000", "k = 2000\n"),
        ("a.toml", "k = 0o644\n", "0o755", "k = 0o755\n"),
        ("a.toml", "k = +5\n", "6", "k = 6\n"),
        # switches stay switches
        ("a.yaml", "k: yes\n", "off", "k: off\n"),
        ("a.yaml", "k: true\n", "off", "k: false\n"),
        ("a.json", '{"k": true}\n', "no", '{"k": false}\n'),
        # null empties anything
        ("a.yaml", "k: latest\n", "null", "k: null\n"),
        ("a.json", '{"k": "x"}\n', "null", '{"k": null}\n'),
        # templates and tags are text
        ("a.yaml", "k: app\n", "{{ x }}", 'k: "{{ x }}"\n'),
        ("a.yaml", "k: app\n", "{% if x %}", 'k: "{% if x %}"\n'),
        ("a.yaml", "k: app\n", "${HOME}/x", "k: ${HOME}/x\n"),
        ("a.yaml", "k: [app]\n", "${X}", "k: ${X}\n"),
        ("a.yaml", "k: app\n", "!Ref Name", 'k: "!Ref Name"\n'),
        ("a.yaml", "k: app\n", "*x", 'k: "*x"\n'),
        ("a.json", '{"k": "app"}\n', "{{x}}", '{"k": "{{x}}"}\n'),
        ("a.toml", 'k = "app"\n', "[[x]]", None),
        # anchors stay, used or not
        ("a.yaml", "k: &k 'x'\n", "y", "k: &k 'y'\n"),
        ("a.yaml", "k: &k\n", "w", "k: &k w\n"),
        ("a.yaml", "k: &k [1]\n", "[2]", "k: &k [2]\n"),
        # what is written of TOML 1.1 is read, and stays as it is
        ("a.toml", "o = {\n  a = 1, # one\n}\nk = 1\n", "2", "o = {\n  a = 1, # one\n}\nk = 2\n"),
        ("a.toml", 'e = "\\e[0m \\x41"\nt = 07:32\nk = "x"\n', "y", 'e = "\\e[0m \\x41"\nt = 07:32\nk = "y"\n'),
        ("a.toml", "k = 07:32\n", "08:00", "k = 08:00\n"),
        ("a.toml", "k = 07:32:00\n", "08:00", None),  # a reader of TOML 1.0 could no longer read the file
        # INI: quotes, delimiters and comments
        ("a.ini", "k: 1 #note\n", "2", "k: 2 #note\n"),
        ("a.ini", 'k="a;b" ; note\n', "x ; y", 'k="x ; y" ; note\n'),
        ("a.cfg", "k = #fff\n", "#000", "k = #000\n"),
        # .env: what is put in stays so, what is literal stays so
        (".env", "k=${A}/x\n", "${B}/y", "k=${B}/y\n"),
        (".env", "k='x'\n", "${A}", "k='${A}'\n"),
        (".env", 'k="x"\n', "pa$$word", "k='pa$$word'\n"),
        (".env", 'k="x"\n', "${A:-b c}", 'k="${A:-b c}"\n'),
    ],
)
def test_a_replaced_value_keeps_its_type_and_its_quotes(rewrite, path, before, value, after):
    if after is None:
        with pytest.raises(EditError):
            rewrite(path, before, SetKey(path, "k", value))
    elif before.startswith("k: [app]"):
        assert rewrite(path, before, SetKey(path, "k[0]", value)) == before.replace("app", f'"{value}"')
    else:
        assert rewrite(path, before, SetKey(path, "k", value)) == after


@pytest.mark.parametrize(
    ("path", "before", "key", "value", "part"),
    [
        ("a.yaml", "k: 10\n", "k", "five", "a number (10)"),
        ("a.yaml", "k: 10\n", "k", "30s", "a number (10)"),
        ("a.yaml", "k: 10\n", "k", "true", "a number (10)"),
        ("a.yaml", "k: 10\n", "k", "0644", "a number (10)"),
        ("a.yaml", "k: true\n", "k", "1", "true or false"),
        ("a.yaml", "k: no\n", "k", "se", "true or false (no)"),
        ("a.yaml", "k: 2020-01-01\n", "k", "5", "a date"),
        ("a.yaml", "python: 3.9\n", "python", "3.10", "number 3.10 is 3.1"),
        ("a.json", '{"python": 3.9}\n', "python", "3.10", "number 3.10 is 3.1"),
        ("a.toml", "python = 3.9\n", "python", "3.10", "number 3.10 is 3.1"),
        ("a.toml", "k = 2020-01-01\n", "k", "5", "a date"),
        ("a.toml", 'k = "x"\n', "k", "null", "TOML has no null"),
        # a new key has no type to keep
        ("a.yaml", "a: x\n", "tag", "1.10", 'the text "1.10"'),
        ("a.yaml", "a: x\n", "image.tag", "9", 'the text "9"'),
        ("a.yaml", "a: x\n", "appVersion", "1.9", 'the text "1.9"'),
        ("a.yaml", "sha:\n", "sha", "12e5", 'the text "12e5"'),
        ("a.yaml", "a: x\n", "anything", "12e5", 'the text "12e5"'),
        ("package.json", '{"devDependencies": {}}\n', "devDependencies.x", "5", 'the text "5"'),
        ("pyproject.toml", "[tool.poetry.dependencies]\n", "tool.poetry.dependencies.x", "2", 'the text "2"'),
        ("Cargo.toml", "[a]\n", "dependencies.serde.version", "1.0", 'the text "1.0"'),
        # what a reader would take for something else
        ("a.ini", "[a]\nk = v\n", "a.k", ";x", "a comment"),
        ("a.ini", "[a]\nk = v\n", "a.k", "x\t#y", "a comment"),
        ("a.ini", "[a]\nk = v\n", "a.n", "x # y", "a comment"),
        ("a.ini", "[a]\nk = v\n", "a.k", "x ", "spaces"),
        ("a.ini", '[a]\nk = "v"\n', "a.k", 'x "y"', "quotes"),
        ("a.ini", "[a]\nk = v ; why\n", "a.k", "", "empty"),
        ("a.toml", "a = {\n b = 1,,\n}\nk = 1\n", "k", "2", "at line 2"),
        ("a.toml", "a = 1\nb = \n", "a", "2", "at line 2"),
    ],
)
def test_what_is_not_clear_asks(change, path, before, key, value, part):
    with pytest.raises(EditError) as refused:
        change({path: before}, SetKey(path, key, value))
    assert part in str(refused.value)


def test_a_new_number_that_is_clear_is_written(rewrite):
    assert rewrite("a.yaml", "a: x\n", SetKey("a.yaml", "port", "8080")).endswith("port: 8080\n")
    assert rewrite("compose.yaml", "a: x\n", SetKey("compose.yaml", "version", "3")).endswith("version: 3\n")
    assert rewrite("Cargo.toml", "[dependencies]\n", SetKey("Cargo.toml", "dependencies.rand", "0.8", quoted=True)) == (
        '[dependencies]\nrand = "0.8"\n'
    )


@pytest.mark.parametrize(
    ("before", "line", "after"),
    [
        ("## N\n\n- one\n\n- two\n", "- new", "## N\n\n- one\n\n- two\n\n- new\n"),
        ("## N\n\n- one\n  more\n", "- new", "## N\n\n- one\n  more\n- new\n"),
        ("## N\n\n- one\n  - in\n", "- new", "## N\n\n- one\n  - in\n- new\n"),
        ("## N\n\n- one\n  - in\n", "new words", "## N\n\n- one\n  - in\n\nnew words\n"),
        ("## N\n\n| a |\n|---|\n", "| b |", "## N\n\n| a |\n|---|\n| b |\n"),
        ("## N\n\n| a |\n|---|\n", "words", "## N\n\n| a |\n|---|\n\nwords\n"),
        ("## N\n\n- one\n\n[a]: /a\n[b]: /b\n", "- new", "## N\n\n- one\n- new\n\n[a]: /a\n[b]: /b\n"),
        ("## N\n\n[a]: /a\n", "- new", "## N\n\n- new\n\n[a]: /a\n"),
        ("## N\n- one\n\n[^1]: why\n    so\n", "- new", "## N\n- one\n- new\n\n[^1]: why\n    so\n"),
        ("## N\n\n- one\n\n---\n\n## O\n", "- new", "## N\n\n- one\n- new\n\n---\n\n## O\n"),
        ("---\nN: x\n---\n\n## N\n- one\n", "- new", "---\nN: x\n---\n\n## N\n- one\n- new\n"),
        ("<!--\n## N\n-->\n## N\n- one\n", "- new", "<!--\n## N\n-->\n## N\n- one\n- new\n"),
    ],
)
def test_a_line_joins_what_it_belongs_to_and_stays_before_what_closes_the_section(rewrite, before, line, after):
    assert rewrite("a.md", before, AddLine("a.md", line, "N")) == after


@pytest.mark.parametrize(
    ("content", "edit", "after"),
    [
        (b"a\r\nb\nc\n", ReplaceText("t", "a\nb", "x\ny\nz"), b"x\r\ny\r\nz\nc\n"),
        (b"a\r\nb\n", ReplaceText("t", "b", "x\ny"), b"a\r\nx\ny\n"),
        (b"a\nb\r\n", ReplaceText("t", "b", "x\ny"), b"a\nx\r\ny\r\n"),
        (b"a\nb\r\n", AddLine("t", "c"), b"a\nb\r\nc\r\n"),
        ("Größe\n".encode("latin-1"), ReplaceText("t", "Größe", "Maß"), "Maß\n".encode("latin-1")),
        ("Größe\n".encode("latin-1"), AddLine("t", "plain"), "Größe\nplain\n".encode("latin-1")),
    ],
)
def test_line_endings_and_encodings_stay(change, content, edit, after):
    assert change({"t": content}, edit).writes["t"] == after


@pytest.mark.parametrize(
    ("content", "edit", "part"),
    [
        ("Größe\n".encode("latin-1"), AddLine("t", "Länge"), "is not UTF-8"),
        ("Größe\n".encode("latin-1"), ReplaceText("t", "G", "Ä"), "is not UTF-8"),
        ("ab\n".encode("utf-16"), ReplaceText("t", "a", "b"), "UTF-16"),
        ("ab\n".encode("utf-16"), AddLine("t", "b"), "UTF-16"),
    ],
)
def test_what_cannot_be_written_safely_is_refused(change, content, edit, part):
    with pytest.raises(EditError, match=part):
        change({"t": content}, edit)


@pytest.mark.parametrize(
    ("path", "text", "edit", "after"),
    [
        ("requirements.txt", "a (==1.0)\n", BumpPackage("a", "2.0"), "a (==2.0)\n"),
        ("requirements.txt", "a==2.0\n", BumpPackage("a", "1.0", was="2.0"), "a==1.0\n"),
        ("requirements.txt", "a==2.0\n", BumpPackage("a", "1.0", exact=True), "a==1.0\n"),
        ("dev-requirements.in", "a>=1\n", BumpPackage("a", "2"), "a>=2\n"),
        ("constraints.txt", "a==1\n", BumpPackage("a", "2"), "a==2\n"),
        ("package.json", '{"dependencies": {"a": "^1.0.0-next.2"}}', BumpPackage("a", "1.0.0-next.10"), None),
    ],
)
def test_bumps_of_every_layout(rewrite, path, text, edit, after):
    assert rewrite(path, text, edit) == (after or text.replace("next.2", "next.10"))


@pytest.mark.parametrize(
    ("path", "text", "edit", "part"),
    [
        ("requirements.txt", "a==2.0\n", BumpPackage("a", "1.0"), "older than 2.0"),
        ("requirements.txt", "a==2.*\n", BumpPackage("a", "2.5"), "not clear"),
        ("requirements.txt", "a~=2.1.0\n", BumpPackage("a", "2.5"), "not clear"),
        ("package.json", '{"dependencies": {"a": "1.0.0"}}', BumpPackage("a", "1.0.0-rc.1"), "older than 1.0.0"),
        ("package.json", '{"dependencies": {"a": "1.x"}}', BumpPackage("a", "2.0.0"), "not a single version"),
        ("pyproject.toml", '[tool.poetry.dependencies]\na = "^2.0"\n', BumpPackage("a", "1.9"), "older than 2.0"),
    ],
)
def test_a_bump_that_is_not_clear_asks(change, path, text, edit, part):
    with pytest.raises(EditError, match=part) as refused:
        change({path: text}, edit)
    assert refused.value.code == "ambiguous"
    assert refused.value.mend
