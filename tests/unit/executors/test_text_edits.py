"""Replacing text, adding and removing lines: bytes that were not named stay as they are."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.model.edits import AddLine, RemoveLine, ReplaceText
from lanes.executors.apply_edits import EditError
from lanes.executors.tree import matching_paths

LOG = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- x\n\n## 1.0 - 2020\n- y\n"


@settings(deadline=None)
@given(
    pieces=st.lists(st.sampled_from([b"old", b"\r\n", b"\n", b"ol", b" ", b"\xff", b"x"]), max_size=30),
    new=st.sampled_from(["", "new", "oldold", "é"]),
)
def test_replace_touches_nothing_but_the_matches(change, pieces, new):
    content = b"".join(pieces)
    if b"old" not in content:
        with pytest.raises(EditError) as refused:
            change({"a.txt": content}, ReplaceText("a.txt", "old", new))
        assert refused.value.code == "not_found"
        return
    if not new.isascii() and b"\xff" in content:  # not UTF-8, so no one knows how é is written there
        with pytest.raises(EditError, match="not UTF-8"):
            change({"a.txt": content}, ReplaceText("a.txt", "old", new))
        return
    after = change({"a.txt": content}, ReplaceText("a.txt", "old", new)).writes["a.txt"]
    assert after == new.encode().join(content.split(b"old"))


def test_a_glob_changes_only_the_files_that_hold_the_text(change):
    files = {"docs/a.md": "x x", "docs/b/c.md": "x", "docs/d.txt": "x", "docs/e.md": "q", "docs/n.md": b"x\0"}
    result = change(files, ReplaceText("docs/**/*.md", "x", "y"))
    assert result.writes == {"docs/a.md": b"y y", "docs/b/c.md": b"y"}


def test_a_glob_skips_links(change):
    modes = {"l.md": "120000"}
    result = change({"a.md": "x", "l.md": "x"}, ReplaceText("*.md", "x", "y"), modes=modes)
    assert set(result.writes) == {"a.md"}


def test_a_line_break_means_the_files_own(change):
    result = change({"a.txt": "a\r\nb\r\n"}, ReplaceText("a.txt", "a\nb", "c\nd"))
    assert result.writes["a.txt"] == b"c\r\nd\r\n"


@pytest.mark.parametrize(
    ("files", "edit", "code", "hint"),
    [
        ({"a.md": "Foo"}, ReplaceText("a.md", "foo", "y"), "not_found", "Foo"),
        ({"a.md": "hello world"}, ReplaceText("a.md", "helo world", "y"), "not_found", "hello world"),
        ({"a.md": "q"}, ReplaceText("*.md", "x", "y"), "not_found", "None of the 1 files"),
        ({"a.md": "q"}, ReplaceText("*.txt", "x", "y"), "no_such_file", "*.txt"),
        ({"docs/guide.md": "q"}, ReplaceText("docs/guid.md", "x", "y"), "no_such_file", "docs/guide.md"),
        ({"docs/guide.md": "q"}, ReplaceText("guide.md", "x", "y"), "no_such_file", "docs/guide.md"),
        ({"docs/guide.md": "q"}, ReplaceText("docs", "x", "y"), "no_such_file", "folder"),
        ({"a.bin": b"x\0"}, ReplaceText("a.bin", "x", "y"), "unsupported_format", "not a text file"),
        ({"a": "x" * 3_000_000}, ReplaceText("a", "x", "yyy"), "too_large", "larger"),
        ({"a": "x" * 6_000_000}, ReplaceText("a", "x", "y"), "too_large", "bytes"),
        ({"a.md": "x"}, ReplaceText("a.md", "x", "\ud800"), "bad_value", "characters"),
    ],
)
def test_replace_refuses_with_a_hint(change, files, edit, code, hint):
    with pytest.raises(EditError) as refused:
        change(files, edit)
    assert refused.value.code == code
    assert hint in str(refused.value)


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.md", "a.md", True),
        ("*.md", "docs/a.md", False),
        ("**/*.md", "a.md", True),
        ("**/*.md", "x/y/a.md", True),
        ("docs/**", "docs/a/b", True),
        ("docs/**", "docs", False),
        ("docs/**/b", "docs/b", True),
        ("d?cs/*", "docs/a", True),
        ("d?cs/*", "docs/a/b", False),
        ("[id]/*.tsx", "[id]/a.tsx", True),
        ("[id]/*.tsx", "i/a.tsx", False),
        ("**", "any/thing", True),
        ("*a*a*a*a*a*a*a*a*b", "a" * 200, False),
    ],
)
def test_globs_are_anchored_and_stars_stay_in_a_folder(pattern, path, matches):
    assert matching_paths(pattern, [path]) == ([path] if matches else [])


@pytest.mark.parametrize(
    ("before", "after"),
    [("", "new\n"), ("a\n", "a\nnew\n"), ("a", "a\nnew"), ("a\r\n", "a\r\nnew\r\n"), ("a\r\nb", "a\r\nb\r\nnew")],
)
def test_a_line_is_added_in_the_files_own_way(rewrite, before, after):
    assert rewrite("a.txt", before, AddLine("a.txt", "new")) == after


@pytest.mark.parametrize(
    ("heading", "line", "after_text", "added"),
    [
        ("Unreleased", "* new", "## [Unreleased]\n\n", "* new\n\n"),
        ("added", "- z", "- x\n", "- z\n"),
        ("Added", "words", "- x\n", "\nwords\n"),
        ("1.0", "- q", "- y\n", "- q\n"),
    ],
)
def test_a_line_goes_to_the_end_of_its_section(rewrite, heading, line, after_text, added):
    after = rewrite("CHANGELOG.md", LOG, AddLine("CHANGELOG.md", line, heading))
    assert after == LOG.replace(after_text, after_text + added, 1)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("# C\r\n\r\n## News\r\n- a\r\n## 1.0", "# C\r\n\r\n## News\r\n- a\r\n- new\r\n## 1.0"),
        ("# C\n\n## News", "# C\n\n## News\n\n- new"),
        ("# C\n## News\n## 1\n", "# C\n## News\n- new\n## 1\n"),
        ("```\n# News\n```\n\nNews\n====\n\n- a\n", "```\n# News\n```\n\nNews\n====\n\n- a\n- new\n"),
    ],
)
def test_sections_of_every_layout(rewrite, before, after):
    assert rewrite("a.md", before, AddLine("a.md", "- new", "news")) == after


def test_other_files_have_headed_blocks(rewrite):
    text = "# Python\n*.pyc\n\n# Node\nnode_modules\n"
    assert rewrite(".gitignore", text, AddLine(".gitignore", "*.so", "python")) == text.replace("pyc\n", "pyc\n*.so\n")


@pytest.mark.parametrize(
    ("files", "edit", "code", "hint"),
    [
        ({"a.md": LOG}, AddLine("a.md", "x", "Addd"), "not_found", "Added"),
        ({"a.md": "no headings\n"}, AddLine("a.md", "x", "A"), "not_found", "no heading"),
        ({"a.md": "# A\n# A\n"}, AddLine("a.md", "x", "A"), "ambiguous", "1, 2"),
        ({"a.md": LOG}, AddLine("zz.txt", "x"), "no_such_file", "create zz.txt"),
        ({"a.md": "foo\nfob\n"}, RemoveLine("a.md", "fo"), "ambiguous", "1, 2"),
        ({"a.md": "foo\n"}, RemoveLine("a.md", "fox"), "not_found", "foo"),
        ({"a.md": b"foo\n\0"}, RemoveLine("a.md", "foo"), "unsupported_format", "text"),
    ],
)
def test_lines_refuse_with_a_hint(change, files, edit, code, hint):
    with pytest.raises(EditError) as refused:
        change(files, edit)
    assert refused.value.code == code
    assert hint in str(refused.value)


@settings(deadline=None)
@given(
    lines=st.lists(st.sampled_from([b"one", b"two x", b"\xffx", b"", b"a\x0bb"]), min_size=1, max_size=8),
    ending=st.sampled_from([b"\n", b"\r\n"]),
    closed=st.booleans(),
)
def test_removing_keeps_every_other_line_byte_for_byte(change, lines, ending, closed):
    content = ending.join(lines) + (ending if closed else b"")
    hits = [line for line in lines if b"x" in line]
    if not hits:
        return
    result = change({"a": content}, RemoveLine("a", "x", every=True))
    kept = content.split(b"\n")
    assert result.writes["a"] == b"".join(
        line + (b"\n" if at < len(kept) - 1 else b"") for at, line in enumerate(kept) if b"x" not in line
    )
