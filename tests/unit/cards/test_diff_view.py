"""The diff as it is shown: whole, in order, and inert; names are git's, not the text's."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.cards.diff import read_diff
from core.model.change import show_path
from tests.unit.cards import documents as docs

EMPTY_WITH_SPACE = b"""\
diff --git a/.github/workflows/x b/src/ok.yml b/.github/workflows/x b/src/ok.yml
new file mode 100644
index 0..1
"""
BINARY_WITH_SPACE = b"""\
diff --git a/.github/x b/src/y.bin b/.github/x b/src/y.bin
index 1..2 100644
Binary files a/.github/x b/src/y.bin and b/.github/x b/src/y.bin differ
"""
NEW_SYMLINK = b"""\
diff --git a/l b/l
new file mode 120000
index 0..1
--- /dev/null
+++ b/l
@@ -0,0 +1 @@
+/etc/passwd
\\ No newline at end of file
"""
HUNK = b"@@ -1 +1 @@\n-old\n+new\n"


def changed(path, hunk=HUNK):
    name = path.encode()
    return b"diff --git a/%s b/%s\nindex 1..2 100644\n--- a/%s\n+++ b/%s\n" % (name, name, name, name) + hunk


def lines(view):
    return [(line.sign, line.number, line.text) for file in view.files for line in file.lines]


def test_lines_carry_their_sign_and_number():
    assert lines(read_diff(docs.DIFF)) == [
        ("@", None, "Install"),
        (" ", 4, "First"),
        ("-", 5, "pip install countersign"),
        ("+", 5, "pipx install countersign-bot"),
        ("+", 6, "countersign init"),
        (" ", 7, "Then"),
        (" ", 8, "look"),
    ]


def test_files_that_deserve_the_eye_lead():
    view = read_diff(changed("a") + changed("b") + changed("c"), first=["c", "a"])
    assert [file.paths for file in view.files] == [("c",), ("a",), ("b",)]


@pytest.mark.parametrize(
    ("header", "paths", "notes"),
    [
        (
            EMPTY_WITH_SPACE,
            (".github/workflows/x b/src/ok.yml",),
            ("new file", "empty"),
        ),
        (
            BINARY_WITH_SPACE,
            (".github/x b/src/y.bin",),
            ("binary, its bytes are not shown",),
        ),
        (
            b"diff --git a/.github/x b/src/run.sh b/.github/x b/src/run.sh\nold mode 100644\nnew mode 100755\n",
            (".github/x b/src/run.sh",),
            ("mode 100644 to 100755",),
        ),
        (
            b'diff --git "a/src/\\303\\251.py" "b/src/\\303\\251.py"\nnew file mode 100755\nindex 0..1\n',
            ("src/é.py",),
            ("new executable", "empty"),
        ),
        (
            b'diff --git "a/a\\tb\\n\\"c\\\\" "b/a\\tb\\n\\"c\\\\"\ndeleted file mode 100644\nindex 1..0\n',
            ('a\\x09b\\x0a"c\\\\',),
            ("deleted", "empty"),
        ),
        (
            b"diff --git a/tool.sh b/.github/ci.yml\nrename from tool.sh\nrename to .github/ci.yml\n",
            ("tool.sh", ".github/ci.yml"),
            ("renamed from tool.sh",),
        ),
        (
            NEW_SYMLINK,
            ("l",),
            ("new symlink",),
        ),
    ],
)
def test_names_come_from_gits_header_and_are_never_guessed(header, paths, notes):
    (file,) = read_diff(header).files
    assert (file.paths, file.notes) == (paths, notes)


def test_a_name_with_a_space_loses_gits_tab():
    text = b"diff --git a/a b b/a b\nindex 1..2 100644\n--- a/a b\t\n+++ b/a b\t\n" + HUNK
    assert read_diff(text).files[0].paths == ("a b",)


def test_a_carriage_return_in_a_line_makes_no_second_file():
    text = changed("a", b"@@ -0,0 +1 @@\n+x\rdiff --git a/.github/w.yml b/.github/w.yml\r--- a\r+++ b\n")
    view = read_diff(text)
    assert [file.paths for file in view.files] == [("a",)]
    assert "\\x0d" in view.files[0].lines[1].text


def test_every_other_line_break_stays_within_its_line():
    text = changed("a", "@@ -0,0 +1,2 @@\n+a\x0bb\x0cc\x85d\u2028e\n+f\n".encode())
    assert [line.sign for line in read_diff(text).files[0].lines] == ["@", "+", "+"]


def test_what_is_invisible_is_spelled_out_and_counted():
    view = read_diff(changed("a", "@@ -0,0 +1 @@\n+if access\u202e == 'user\u2066':\x1b[2K\n".encode()))
    assert view.escaped_count == 3
    assert view.files[0].lines[1].text == "if access\\u{202e} == 'user\\u{2066}':\\x1b[2K"


def test_bytes_that_are_no_text_are_shown_as_bytes():
    assert read_diff(changed("a", b"@@ -0,0 +1 @@\n+\xff\xfe\n")).files[0].lines[1].text == "\\xff\\xfe"


def test_a_file_of_crlf_lines_is_noted_once_and_a_mixed_one_shows_each():
    crlf = read_diff(changed("a", b"@@ -1 +1 @@\n-a\r\n+b\r\n")).files[0]
    mixed = read_diff(changed("a", b"@@ -1 +1 @@\n-a\n+b\r\n")).files[0]
    assert (crlf.notes, [line.text for line in crlf.lines[1:]]) == (("CRLF line ends",), ["a", "b"])
    assert (mixed.notes, [line.text for line in mixed.lines[1:]]) == ((), ["a", "b\\x0d"])


def test_hunk_counts_that_lie_are_shown_as_they_stand():
    view = read_diff(changed("a", b"@@ -1,9 +1,9 @@ f()\n-old\n+new\n"))
    assert lines(view) == [("@", None, "f()"), ("-", 1, "old"), ("+", 1, "new")]
    assert view.count_hidden_lines(["a"]) == 0


def test_what_is_not_shown_is_counted():
    long = b"@@ -0,0 +1,100 @@\n" + b"+x\n" * 100
    view = read_diff(changed("a", long) + changed("b") + changed("c"), max_lines=40)
    assert (view.omitted_files, view.omitted_lines) == (2, 100 - 39 + 2 + 2)
    assert view.count_hidden_lines(["a", "b", "c"]) == 65


def test_a_long_line_that_is_cut_counts_as_hidden():
    view = read_diff(changed("a", b"@@ -0,0 +1 @@\n+" + b"x" * 900 + b"\n"), max_columns=500)
    assert view.files[0].lines[1].omitted_chars == 400
    assert view.count_hidden_lines(["a"]) == 1
    assert read_diff(changed("a"), max_lines=None, max_columns=None).count_hidden_lines(["a"]) == 0


def test_a_file_without_lines_that_is_left_out_counts_as_hidden():
    text = changed("a") + b"diff --git a/b b/b\nold mode 100644\nnew mode 100755\n"
    assert read_diff(text, max_lines=3).count_hidden_lines(["a", "b"]) == 1


def test_a_staged_file_that_the_text_does_not_have_counts_as_hidden():
    assert read_diff(b"").count_hidden_lines(["a", "b"]) == 2


def test_a_long_file_is_read_only_as_far_as_it_is_shown():
    body = b"@@ -10 +10,5000 @@ f\n ctx\n" + b"+x\n" * 4999
    view = read_diff(changed("a", body), max_lines=4)
    assert lines(view) == [("@", None, "f"), (" ", 10, "ctx"), ("+", 11, "x"), ("+", 12, "x")]
    assert view.omitted_lines == 4997


@given(st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line), min_size=1, max_size=20))
def test_any_content_is_shown_line_by_line(content):
    body = b"@@ -0,0 +1,%d @@\n" % len(content) + b"".join(b"+" + line + b"\n" for line in content)
    view = read_diff(changed("a", body), max_lines=None, max_columns=None)
    assert [line.sign for line in view.files[0].lines] == ["@"] + ["+"] * len(content)
    assert view.count_hidden_lines(["a"]) == 0


@given(st.binary(max_size=400))
def test_any_bytes_at_all_are_read_without_a_fault(text):
    read_diff(text)
    read_diff(b"diff --git " + text, max_lines=5)


ODD = [
    "a b/c d",
    "tab\there",
    "é ü",
    'quo"te',
    "back\\slash",
    "new\nline",
    " lead",
    "trail ",
    "-dash",
    "日本/語",
    "\x1b[31m",
]


def test_git_itself_agrees_about_odd_names(tmp_path):
    def git(*args):
        base = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main", *args]
        return subprocess.run(base, cwd=tmp_path, check=True, capture_output=True).stdout

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "base")
    for name in ODD:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("text\n")
    git("add", "-A")
    git("commit", "-q", "-m", "odd")
    view = read_diff(git("diff-tree", "-p", "-r", "-M", "--full-index", "HEAD~1", "HEAD"), max_lines=None)
    assert {file.paths for file in view.files} == {(show_path(name.encode()),) for name in ODD}
    assert all([line.text for line in file.lines[1:]] == ["text"] for file in view.files)
