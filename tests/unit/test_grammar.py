"""Plain English to edits: understood exactly, or not at all."""

from __future__ import annotations

import string
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.interpret.grammar import NotUnderstood, parse
from core.model.edit_description import describe
from core.model.edits import AddLine, BumpPackage, CreateFile, DeleteFile, MoveFile, RemoveLine, ReplaceText, SetKey

APP = "config/app.yaml"
TIMEOUT = SetKey(APP, "server.timeout", "30")
FOO = ReplaceText("README.md", "foo", "bar")
NEWS = AddLine("CHANGELOG.md", "* new", "Unreleased")


def reason(text):
    answer = parse(text)
    assert isinstance(answer, NotUnderstood)
    return answer.reason


@pytest.mark.parametrize(
    "text",
    [
        "set server.timeout to 30 in config/app.yaml",
        "SET server.timeout TO 30 IN config/app.yaml",
        "in config/app.yaml set server.timeout to 30",
        "In config/app.yaml, set server.timeout to 30.",
        "config/app.yaml: set server.timeout to 30",
        "set server.timeout in config/app.yaml to 30",
        "set server.timeout of config/app.yaml to 30",
        "set server.timeout = 30 in config/app.yaml",
        "set server.timeout=30 in config/app.yaml",
        "set server.timeout: 30 in ./config/app.yaml",
        "Please set the value of `server.timeout` to 30 in the file config/app.yaml!",
        "set the server.timeout setting to 30 in “config/app.yaml”",
        "change server.timeout to 30 in config/app.yaml",
        "could you please update server.timeout to 30 in config/app.yaml, thanks!",
        "@countersign set server.timeout to 30 in config/app.yaml",
        "<@U123> hey, can you set server.timeout to 30 in config/app.yaml?",
        "I\u2019d like you to set server.timeout to 30\nin config/app.yaml",
        "/task set server.timeout to 30 in config/app.yaml",
    ],
)
def test_one_wish_in_many_wordings(text):
    assert parse(text) == (TIMEOUT,)


@pytest.mark.parametrize(
    ("text", "edit"),
    [
        ('set a to "30" in x.yaml', SetKey("x.yaml", "a", "30", quoted=True)),
        ("set a to '' in x.yaml", SetKey("x.yaml", "a", "", quoted=True)),
        ("set a to -5 in x.yaml", SetKey("x.yaml", "a", "-5")),
        ("set a to 3.5 in x.yaml", SetKey("x.yaml", "a", "3.5")),
        ("in x.yaml set a to 3.5.", SetKey("x.yaml", "a", "3.5")),
        ("set a to [80, 443] in x.yaml", SetKey("x.yaml", "a", "[80, 443]")),
        ('set title="My App" in x.toml', SetKey("x.toml", "title", "My App", quoted=True)),
        ('set "a.b".c to 1 in x.yaml', SetKey("x.yaml", '"a.b".c', "1")),
        ('set a."b c".d to 1 in x.yaml', SetKey("x.yaml", 'a."b c".d', "1")),
        ("set a[0].b to 1 in x.yaml", SetKey("x.yaml", "a[0].b", "1")),
        (
            "set 'display name' to \"x; and delete y\" in x.yaml",
            SetKey("x.yaml", "display name", "x; and delete y", True),
        ),
        ("change a from 10 to 30 in x.yaml", SetKey("x.yaml", "a", "30", was="10")),
        ("set new key a.b to 1 in x.yaml", SetKey("x.yaml", "a.b", "1", new=True)),
        ("add key a.b with value 3 to x.yaml", SetKey("x.yaml", "a.b", "3", new=True)),
        ("set PORT to 80 in .env", SetKey(".env", "PORT", "80")),
    ],
)
def test_set(text, edit):
    assert parse(text) == (edit,)


@pytest.mark.parametrize(
    ("text", "edit"),
    [
        ("please replace foo with bar in README.md", FOO),
        ("in README.md replace foo by bar", FOO),
        ("replace foo in README.md with bar", FOO),
        ("replace all occurrences of “foo” with \u2018bar\u2019 in README.md", FOO),
        ("replace the text foo with bar inside the file README.md.", FOO),
        ("substitute `foo` with `bar` in README.md", FOO),
        ('change "foo" to "bar" in README.md', FOO),
        ("replace 'a b' with \"c and d\" in docs/**/*.md", ReplaceText("docs/**/*.md", "a b", "c and d")),
        ('replace "hello world" with "good bye" in a.md', ReplaceText("a.md", "hello world", "good bye")),
        ("replace `log in` with `sign in` in a.md", ReplaceText("a.md", "log in", "sign in")),
        ('replace "a with b" with "c in d.md" in e.md', ReplaceText("e.md", "a with b", "c in d.md")),
        ('replace "don\'t" with "it\'s; fine" in a.md', ReplaceText("a.md", "don't", "it's; fine")),
        ("replace 'don't' with 'do not' in a.md", ReplaceText("a.md", "don't", "do not")),
        ('replace "a\\nb" with "" in a.md', ReplaceText("a.md", "a\\nb", "")),
        ("replace x with y everywhere", ReplaceText("**", "x", "y")),
        ("replace x with y in all files", ReplaceText("**", "x", "y")),
        ("replace x with y in all .md files", ReplaceText("**/*.md", "x", "y")),
        ("replace x with y in docs/", ReplaceText("docs/**", "x", "y")),
    ],
)
def test_replace(text, edit):
    assert parse(text) == (edit,)


@pytest.mark.parametrize(
    ("text", "edit"),
    [
        ('add the line "* new" to CHANGELOG.md under "Unreleased"', NEWS),
        ('add "* new" under Unreleased in CHANGELOG.md', NEWS),
        ('append a line saying "* new" under the heading "Unreleased" to CHANGELOG.md', NEWS),
        ('in CHANGELOG.md add "* new" under the Unreleased section', NEWS),
        ('under "Unreleased" in CHANGELOG.md, add "* new"', NEWS),
        ("append x=1 to .env", AddLine(".env", "x=1")),
        ('append X="a b" to .env', AddLine(".env", 'X="a b"')),
        ("add line foo to notes.txt", AddLine("notes.txt", "foo")),
        ('to notes.txt add the line "x"', AddLine("notes.txt", "x")),
        ('add to notes.txt the line "x"', AddLine("notes.txt", "x")),
        ('add "x" to the end of notes.txt', AddLine("notes.txt", "x")),
        ('add "a.\\nB" to notes.txt', AddLine("notes.txt", "a.\nB")),
        ("add node_modules/ to .gitignore", AddLine(".gitignore", "node_modules/")),
        ("add httpx to requirements.txt", AddLine("requirements.txt", "httpx")),
        ("add ```\na\n  b\n``` to notes.txt", AddLine("notes.txt", "a\n  b")),
        ("remove the line containing foo from a.txt", RemoveLine("a.txt", "foo")),
        ("delete the line that contains 'foo bar' in a.txt", RemoveLine("a.txt", "foo bar")),
        ("from a.txt remove the line with foo", RemoveLine("a.txt", "foo")),
        ('drop the line "foo" from a.txt', RemoveLine("a.txt", "foo", whole=True)),
        ("remove all lines containing foo from a.txt", RemoveLine("a.txt", "foo", every=True)),
    ],
)
def test_lines(text, edit):
    assert parse(text) == (edit,)


@pytest.mark.parametrize(
    ("text", "edit"),
    [
        ("rename a.md to b.md", MoveFile("a.md", "b.md")),
        ("rename LICENSE to COPYING", MoveFile("LICENSE", "COPYING")),
        ("move docs/a.md to docs/guide/", MoveFile("docs/a.md", "docs/guide/a.md")),
        ("move docs/a.md into the docs/guide folder", MoveFile("docs/a.md", "docs/guide/a.md")),
        ("move the file docs/a.md to b.md", MoveFile("docs/a.md", "b.md")),
        ("delete old.txt", DeleteFile("old.txt")),
        ("remove the file 'old file.txt'", DeleteFile("old file.txt")),
        ("delete .github/workflows/ci.yml", DeleteFile(".github/workflows/ci.yml")),
        ('create docs/x.md with "# Hello\\n"', CreateFile("docs/x.md", "# Hello\n")),
        ('create a new file docs/x.md with the content "# Hello"', CreateFile("docs/x.md", "# Hello\n")),
        ('add a file docs/x.md containing: "a\\tB"', CreateFile("docs/x.md", "a\tB\n")),
        ('create a file with "x" at docs/x.md', CreateFile("docs/x.md", "x\n")),
        ("create an empty file x.txt", CreateFile("x.txt", "")),
        ('create a.json with ```json\n{"a": "\\n"}\n```', CreateFile("a.json", '{"a": "\\n"}\n')),
    ],
)
def test_files(text, edit):
    assert parse(text) == (edit,)


@pytest.mark.parametrize(
    ("text", "edit"),
    [
        ("bump httpx to 0.28.1", BumpPackage("httpx", "0.28.1")),
        ("bump httpx 0.28.1", BumpPackage("httpx", "0.28.1")),
        ("upgrade the httpx package to version 0.28.1", BumpPackage("httpx", "0.28.1")),
        ("bump the version of httpx to 0.28.1", BumpPackage("httpx", "0.28.1")),
        ("update httpx to 0.28.1", BumpPackage("httpx", "0.28.1")),
        ("bump httpx from 0.27 to 0.28", BumpPackage("httpx", "0.28", was="0.27")),
        (
            "pin django to 5.1 in requirements/base.txt",
            BumpPackage("django", "5.1", "requirements/base.txt", exact=True),
        ),
        ("pin django==5.1", BumpPackage("django", "5.1", exact=True)),
        ("in package.json bump @types/node to 20.1.0", BumpPackage("@types/node", "20.1.0", "package.json")),
        ("update httpx to 0.28 in requirements.txt", BumpPackage("httpx", "0.28", "requirements.txt")),
    ],
)
def test_packages(text, edit):
    assert parse(text) == (edit,)


@pytest.mark.parametrize(
    "text",
    [
        "set a to 1 in x.yaml and then set b to 2 in y.yaml, then delete z.txt",
        "set a to 1 in x.yaml; set b to 2 in y.yaml; delete z.txt;",
        "- set a to 1 in x.yaml\n- set b to 2 in y.yaml\n- delete z.txt",
        "1. set a to 1 in x.yaml\n2. in y.yaml, set b to 2\n\n3. please delete z.txt",
        "please set a to 1 in x.yaml, set b to 2 in y.yaml and also delete z.txt.",
    ],
)
def test_several_wishes_in_one_request(text):
    assert parse(text) == (SetKey("x.yaml", "a", "1"), SetKey("y.yaml", "b", "2"), DeleteFile("z.txt"))


def test_a_file_named_first_holds_for_what_follows():
    assert parse("in x.yaml set a to 1 and set b to 2") == (SetKey("x.yaml", "a", "1"), SetKey("x.yaml", "b", "2"))


def test_files_joined_by_and_are_deleted_together():
    assert parse("delete a.txt and b.txt") == (DeleteFile("a.txt"), DeleteFile("b.txt"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  \n ; ",
        "hello",
        "make me a sandwich",
        "don't delete old.txt",
        "never delete old.txt",
        "why did you delete old.txt",
        "should I delete old.txt?",
        "delete old.txt because nobody reads it",
        "delete everything",
        "delete docs/*.md",
        "delete docs/",
        "delete /etc/passwd",
        "rename README.md to ../../etc/x",
        "rename docs/a.md to b.md",
        "rename foo to bar in a.py",
        "move a.md and b.md to docs/",
        "set a to 1",
        "set a in x.yaml",
        "set a to 1 in config/*.yaml",
        "set a to 1 and b to 2 in x.yaml",
        "set a to 1 in x.yaml or y.yaml",
        "set a to 1 in x.yaml unless b",
        "set a to 1 in x.yaml and frobnicate it",
        "set a to higher in x.yaml",
        "set a to a sensible value in x.yaml",
        "set title to My App in x.yaml",
        "set a..b to 1 in x.yaml",
        "set a to 'open in x.yaml",
        "set a to 1 in .git/config",
        "set a to contents of x.yaml",
        "change host from a.example to b.example",
        'change "foo" to "bar" in x.yaml',
        "change the color to blue in style.css",
        "change color to blue in style.css",
        "update version to 1.2.0 in pyproject.toml",
        "update httpx to 0.28 in pyproject.toml",
        "update README.md to mention the new name",
        "bump version to 1.2",
        "bump httpx to latest",
        "bump httpx",
        "replace foo in README.md",
        'replace hello world with "good bye" in a.md',
        "remove the line containing foo bar from a.txt",
        "replace foo with bar",
        "replace a with b with c in README.md",
        "replace the logo with a new one in README.md",
        "replace foo with contents of a.md",
        "replace part of a.md with b",
        "swap x for y in README.md",
        "add tests to src/a.py",
        "add a section about installing to README.md",
        "add instructions to deploy to README.md",
        'add "x" at the top of a.md',
        'add "x" before "y" in a.md',
        "remove foo from a.txt",
        "remove lines containing x from a.txt",
        "remove the second line from a.txt",
        "remove the line from a.txt",
        "create docs/x.md",
        "create docs/x.md with some words",
        'create docs/x.md with the same content as "y"',
        "create docs/x.md with ```open",
        "add the line wash and set to notes.txt",
    ],
)
def test_what_is_not_clear_is_not_guessed(text):
    answer = parse(text)
    assert isinstance(answer, NotUnderstood)
    assert answer.reason.endswith((".", "?"))
    assert answer.can


@pytest.mark.parametrize(
    "char",
    ["\u200b", "\u202e", "\u2066", "\U000e0041", "\u00ad", "\x00", "\x1b", "\u2028", "\ufeff", "\ud800", "\U000e0101"],
)
def test_invisible_characters_are_refused_by_name(char):
    answer = parse(f"set a to 1 in x{char}.yaml")
    assert isinstance(answer, NotUnderstood)
    assert f"U+{ord(char):04X}" in answer.reason


def test_emoji_and_other_scripts_are_text():
    assert parse('add "🚀 запуск ❤️" to a.md') == (AddLine("a.md", "🚀 запуск ❤️"),)


def test_a_request_of_more_than_64_kib_is_refused():
    assert reason("é" * 40_000) == "The request is longer than 64 KiB."


def test_too_many_parts_are_refused():
    assert "100 parts" in reason("delete a.txt; " * 101)


SIZE = 65_000
HOSTILE = [
    '"',
    "'a ",
    '".',
    '"a".',
    "please, ",
    "x ",
    "and ",
    "in ",
    "in x.y ",
    "a;",
    ". ",
    "`",
    "```a",
    "«",
    "\n",
    "thank you ",
]


@pytest.mark.parametrize(
    "text",
    [
        *(piece * (SIZE // len(piece.encode())) for piece in HOSTILE),
        "a" * 10_000_000,
        "set a to 1 in x.yaml and " * 2600,
        "replace " + "with " * 12_000,
        "add " + "to a.b " * 9_000,
        "add " + "under " * 10_000,
        "delete " + "a.b " * 16_000,
        "set x to " + "[" * 60_000 + " in a.yaml",
        "bump a to " + "1." * 30_000,
        "bump " + "a-" * 30_000 + " to 1",
        "in " + "the " * 16_000 + "x.y",
        "add the line " + "a b " * 16_000 + "to a.txt",
    ],
    ids=lambda text: text[:12],
)
def test_hostile_texts_take_bounded_time(text):
    begun = time.process_time()
    parse(text)
    assert time.process_time() - begun < 3


VOCABULARY = st.sampled_from(
    [
        *("set", "change", "replace", "add", "append", "remove", "delete", "rename", "move", "bump", "pin", "create"),
        *("to", "with", "by", "in", "from", "under", "of", "and", "then", "the", "a", "line", "lines", "containing"),
        *("file", "key", "value", "new", "all", "please", "@bot", "update", "everywhere", "empty", "version", "=", ":"),
        *(";", ",", ".", '"', "'", "`", "```", "\u201c", "\u201d", "a.b", "x.yaml", "docs/", "*.md", "**", "30", "1.2"),
        *("-", "*", "[", "]", "{}", '""', "../x", "/etc", ".git", "\\n", "\n", " "),
    ]
)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.text(), st.lists(VOCABULARY, max_size=14).map(" ".join), st.lists(VOCABULARY, max_size=14).map("".join)
    )
)
def test_no_text_raises(text):
    answer = parse(text)
    assert isinstance(answer, NotUnderstood) or (answer and all(describe(edit) for edit in answer))


WORDS = st.text(string.ascii_letters + string.digits + " _-:;,.=+*#/()é'", min_size=1, max_size=30).filter(
    lambda t: t == t.strip() and not t.endswith("\\")
)
NAMES = st.from_regex(r"[a-z]{1,6}(/[a-z]{1,6})?\.(yaml|md|txt)", fullmatch=True)


@settings(max_examples=200)
@given(
    st.one_of(
        st.builds(SetKey, NAMES, st.just("a.b"), WORDS, st.just(True), new=st.booleans()),
        st.builds(ReplaceText, NAMES, WORDS, WORDS, st.booleans()),
        st.builds(AddLine, NAMES, WORDS, st.none() | WORDS, st.booleans()),
        st.builds(RemoveLine, NAMES, WORDS, st.booleans(), st.booleans()),
        st.builds(RemoveLine, NAMES, WORDS, st.booleans(), word=st.booleans()),
        st.builds(MoveFile, NAMES, NAMES.map("docs/".__add__)),
        st.builds(DeleteFile, NAMES),
        st.builds(CreateFile, NAMES, WORDS.map(lambda t: t + "\n")),
        st.builds(
            BumpPackage, st.sampled_from(["httpx", "@types/node"]), st.sampled_from(["1.2", "3"]), exact=st.booleans()
        ),
    )
)
def test_a_description_is_understood_as_the_same_edit(edit):
    assert parse(describe(edit)) == (edit,)


@given(WORDS, WORDS)
def test_quoted_text_is_never_split_or_read(old, new):
    for opening, closing in [('"', '"'), ("“", "”"), ("«", "»"), ("`", "`")]:
        if any(mark in old + new for mark in (opening, closing)):
            continue
        text = f"replace {opening}{old}{closing} with {opening}{new}{closing} in README.md"
        assert parse(text) == (ReplaceText("README.md", old, new),)
