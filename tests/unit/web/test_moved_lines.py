"""Moved blocks: only what is removed and added byte for byte, as git itself marks it, and no line is ever left out."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from functools import cached_property

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.web.diff.hunks import ADDED, REMOVED, Hunk, read_hunks, split_lines
from bot.web.diff.moved import MAX_ROWS, find_moved
from bot.web.diff.rows_html import FileLines, Margin, split_rows, unified_rows

pytestmark = pytest.mark.window


@dataclass
class Changed:
    """A changed file as git's hunks."""

    index: int
    path: str
    body: bytes

    @cached_property
    def hunks(self) -> tuple[Hunk, ...]:
        return read_hunks(self.body)

    @property
    def row_count(self) -> int:
        return sum(map(len, self.hunks))


def body_of(old: list[str], new: list[str]) -> bytes:
    """A hunk that removes `old` lines and adds `new` ones."""
    lines = [f"@@ -{1 if old else 0},{len(old)} +{1 if new else 0},{len(new)} @@"]
    lines += [*(f"-{line}" for line in old), *(f"+{line}" for line in new)]
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")


def marked(files) -> dict[tuple[int, str], set[int]]:
    """The numbers of the moved lines, by file and side."""
    found: dict[tuple[int, str], set[int]] = {}
    for index, blocks in find_moved(files).blocks.items():
        for block in blocks:
            found.setdefault((index, block.sign), set()).update(range(block.first, block.first + block.count))
    return found


BLOCK = ["def total(values):", "", "    return sum(values)", "}"]


def test_a_block_is_found_across_files_and_says_where_it_stands_now():
    files = [Changed(0, "a.py", body_of(["x = 1", *BLOCK], [])), Changed(1, "b.py", body_of([], ["y = 2", *BLOCK]))]
    assert marked(files) == {(0, REMOVED): {2, 3, 4, 5}, (1, ADDED): {2, 3, 4, 5}}
    (block,) = find_moved(files).blocks[0]
    assert (block.other_path, block.other_first, block.count) == ("b.py", 2, 4)


def test_short_and_changed_lines_are_not_moved():
    assert (
        marked(
            [Changed(0, "a", body_of(["}", "", "return 1"], [])), Changed(1, "b", body_of([], ["}", "", "return 1"]))]
        )
        == {}
    )
    changed = [*BLOCK[:2], "    return  sum(values)", BLOCK[3]]
    assert marked([Changed(0, "a", body_of(BLOCK, [])), Changed(1, "b", body_of([], changed))]) == {}


def test_one_removed_block_accounts_for_one_added_block():
    files = [Changed(0, "a", body_of(BLOCK, [])), Changed(1, "b", body_of([], [*BLOCK, "other", *BLOCK]))]
    assert marked(files) == {(0, REMOVED): {1, 2, 3, 4}, (1, ADDED): {1, 2, 3, 4}}


def test_a_long_diff_is_not_searched_and_says_so():
    long = Changed(0, "a", body_of([f"line {n} of many" for n in range(MAX_ROWS + 1)], []))
    assert not find_moved([long]).was_searched


words = st.sampled_from(
    ["", "}", "alpha beta gamma delta epsilon", "one two three four five six", "return 1", "x = 10"]
)
sides = st.lists(words, max_size=12)


@given(st.lists(st.tuples(sides, sides), min_size=1, max_size=3))
def test_moved_lines_are_equal_pairs_and_every_line_is_still_shown(changes):
    changes = [(old, new) for old, new in changes if old or new]
    files = [Changed(n, f"f{n}", body_of(old, new)) for n, (old, new) in enumerate(changes)]
    texts = {(n, REMOVED): old for n, (old, _) in enumerate(changes)} | {
        (n, ADDED): new for n, (_, new) in enumerate(changes)
    }
    moved = find_moved(files)
    for index, blocks in moved.blocks.items():
        for block in blocks:
            here = texts[index, block.sign][block.first - 1 :][: block.count]
            other = texts[block.other_index, ADDED if block.sign == REMOVED else REMOVED]
            assert here == other[block.other_first - 1 :][: block.count]
            assert sum(c.isalnum() for line in here for c in line) >= 20
    for n, (old, new) in enumerate(changes):
        blocks = moved.blocks.get(n, ())
        keys = {(b.sign, line) for b in blocks for line in range(b.first, b.first + b.count)}
        lines = FileLines(split_lines("\n".join([*old, ""]).encode()), split_lines("\n".join([*new, ""]).encode()))
        for render in (unified_rows, split_rows):
            plain = render(lines, files[n].hunks[0])
            lines.margin = Margin(moved=keys)
            assert _cells(render(lines, files[n].hunks[0])) == _cells(plain)
            lines.margin = Margin()


def _cells(html: str) -> list[str]:
    """The texts of all cells, without their classes."""
    return re.sub(r"<(td|tr)[^>]*>", r"<\1>", html).split("<td>")


def test_git_marks_the_same_lines(tmp_path):
    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    git("init", "-q")
    block = [f"    step_{n} = compute(value_{n})" for n in range(6)]
    rest = [f"    other_{n}()" for n in range(12)]
    (tmp_path / "a.py").write_text("\n".join(["def first():", *block, *rest, ""]))
    git("add", "a.py")
    (tmp_path / "a.py").write_text("\n".join(["def first():", *rest, *block, ""]))
    colours = {"oldMoved": "#010101", "newMoved": "#020202"}
    settings = [part for name, colour in colours.items() for part in ("-c", f"color.diff.{name}={colour}")]
    shown = git(*settings, "diff", "--color=always", "--color-moved=blocks", "-U3")
    by_git = [len(re.findall(rf"38;2;{n};{n};{n}m[-+]", shown)) for n in (1, 2)]
    body = git("diff", "--no-color", "-U3").partition("\n@@")[2]
    ours = marked([Changed(0, "a.py", f"@@{body}".encode())])
    assert by_git == [6, 6]
    assert [len(ours[0, REMOVED]), len(ours[0, ADDED])] == by_git
