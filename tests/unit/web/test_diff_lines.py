"""The lines of the diff viewer: complete, inert, and in order whatever the files hold."""

from __future__ import annotations

import difflib
import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.cards.safe import visible
from bot.web.diff.changed_text import changed_ranges
from bot.web.diff.highlight import flattened, spans_of
from bot.web.diff.hunks import (
    LineRow,
    UnreadableHunkError,
    check_complete,
    read_hunks,
    split_lines,
    whole_file,
)
from bot.web.diff.line_html import _clusters, inert, line_html
from bot.web.diff.rows_html import FileLines, gaps_of, split_rows, unified_rows
from core.model.errors import PermanentError

pytestmark = [pytest.mark.window]

LINES = st.lists(
    st.sampled_from([b"a\n", b"b\n", b"@@ -1 +1 @@\n", b"\n", b"+x\n", b"-\r\n", b"\xff\xfe\n"]), max_size=12
)
FILES = st.builds(lambda lines, end: b"".join(lines) + end, LINES, st.sampled_from([b"", b"no end"]))
TEXTS = st.text(st.sampled_from("ab<>&\"' \t\u202e\u200b\u0301\x07\x1b\udcff\u2028é漢🙂"), max_size=30)


def as_git_writes(old: bytes, new: bytes) -> bytes:
    """The hunks of two files in git's form."""
    before, after = ([line.decode("latin-1") for line in split_lines(side)] for side in (old, new))
    out = []
    for line in list(difflib.unified_diff(before, after, n=3))[2:]:
        raw = line.encode("latin-1")
        out.append(raw if raw.endswith(b"\n") else raw + b"\n\\ No newline at end of file\n")
    return b"".join(out)


@given(old=FILES, new=FILES)
def test_hunks_applied_to_the_old_file_give_the_new_one(old, new):
    hunks = read_hunks(as_git_writes(old, new))
    check_complete(hunks, split_lines(old), split_lines(new), "x")
    check_complete(whole_file(len(split_lines(old)), len(split_lines(new))), split_lines(old), split_lines(new), "x")


@given(old=FILES, new=FILES, at=st.integers(0, 20))
def test_a_change_that_the_hunks_leave_out_is_never_passed_over(old, new, at):
    hunks = read_hunks(as_git_writes(old, new))
    added = {row.new for hunk in hunks for row in hunk if row.sign == "+"}
    lines = split_lines(new)
    kept = [n for n in range(len(lines)) if n + 1 not in added]
    if not kept:
        return
    n = kept[at % len(kept)]
    begin, rest = lines[:n], lines[n + 1 :]
    for other in ([*begin, b"hidden\n", *rest], [*begin, b"hidden\n", *lines[n:]], [*begin, *rest]):
        if other != lines:
            with pytest.raises(PermanentError):
                check_complete(hunks, split_lines(old), other, "x")


BROKEN = (b"nonsense\n", b"@@ -1,2 +1 @@\n-a\n", b"@@ -1 +1 @@\n*a\n", b"@@ -1 +1 @@\n-a\n+b\n+c\n")


@pytest.mark.parametrize("body", BROKEN)
def test_what_is_no_sequence_of_hunks_is_not_read(body):
    with pytest.raises(UnreadableHunkError):
        read_hunks(body)


@given(text=TEXTS)
def test_a_line_is_inert_and_says_every_character(text):
    html = inert(text)
    assert not re.search(r"<(?!b class=odd>|/b>)", html)
    assert not set("\u202e\u200b\x07\x1b\u2028\udcff") & set(html)
    shown = unescape(re.sub(r"</?b[^>]*>", "", html))
    assert shown == "".join(cluster if cluster == "\t" else visible(cluster) for cluster in _clusters(text))


@given(text=TEXTS, cuts=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=4))
def test_colours_and_marks_change_no_character(text, cuts):
    spans = [(a, a + b % 5 + 1, "k") for a, b in sorted(cuts)]
    kept, end = [], 0
    for span in spans:
        if span[0] >= end:
            kept.append(span)
            end = span[1]
    pieces = flattened(kept, [(2, 5)], len(text))
    assert "".join(text[start:end] for start, end, _, _ in pieces) == text
    plain = re.sub(r"</?(?:span|mark|b)[^>]*>", "", line_html(text, kept, [(2, 5)]))
    assert "<" not in plain


@given(old=st.text("ab (){}=.\t", max_size=40), new=st.text("ab (){}=.\t", max_size=40))
def test_outside_the_marked_ranges_two_lines_are_the_same(old, new):
    old_ranges, new_ranges = changed_ranges(old, new)
    if old_ranges or new_ranges:
        assert without(old, old_ranges) == without(new, new_ranges)


def without(text, ranges):
    for start, end in reversed(ranges):
        text = text[:start] + text[end:]
    return text


@given(text=st.text("ab'\"#\n\t :=()\r\x0b\u2028é", max_size=80))
def test_colours_fit_the_lines_of_the_file(text):
    for path in ("x.py", "x.yaml", "x.js", "Makefile", "x.md"):
        lines = spans_of(path, text)
        if lines is None:
            continue
        assert len(lines) == len(text.split("\n"))
        for line, spans in zip(text.split("\n"), lines, strict=True):
            assert all(0 <= start < end <= len(line) for start, end, _ in spans)


@given(old=FILES, new=FILES)
def test_both_views_show_every_changed_line_once_and_gaps_stand_for_the_rest(old, new):
    hunks = read_hunks(as_git_writes(old, new))
    before, after = split_lines(old), split_lines(new)
    lines = FileLines(before, after)
    lines.mark_changes(hunks)
    changed = [row for hunk in hunks for row in hunk if row.sign != " "]
    unified = "".join(unified_rows(lines, hunk) for hunk in hunks)
    assert unified.count("<tr class=add>") + unified.count("<tr class=del>") == len(changed)
    split = "".join(split_rows(lines, hunk) for hunk in hunks)
    assert split.count('"t add"') + split.count('"t del"') == len(changed)
    gaps = [gap for gap in gaps_of(hunks, len(before), begins=True, ends=True) if gap is not None]
    kept = sum(1 for hunk in hunks for row in hunk if row.sign != "+")
    if hunks and before and after:
        assert sum(gap.count for gap in gaps) + kept == len(before)
    for gap in gaps:
        assert before[gap.old - 1 : gap.old - 1 + gap.count] == after[gap.new - 1 : gap.new - 1 + gap.count]


def test_a_line_that_replaces_another_stands_beside_it():
    lines = FileLines([b"timeout = 10\n"], [b"timeout = 30\n"])
    hunk = (LineRow("-", 1, 0), LineRow("+", 0, 1))
    lines.mark_changes([hunk])
    row = split_rows(lines, hunk)
    assert row.count("<tr") == 1
    assert "timeout = <mark>10</mark>" in row
    assert "timeout = <mark>30</mark>" in row
