"""The box above a hunk is that hunk's, also where a part of a page has only the end of it."""

from __future__ import annotations

import re

import pytest

from bot.web.diff.files import DiffFile, Slice
from bot.web.pages.part_ticks import PartTicks
from core.model.hunk_selection import parts_of, spans_of
from tests.builders import file_change

BODY = b"""@@ -1,3 +1,4 @@
 a
+b
 c
 d
@@ -9,0 +11,2 @@
+only
+added
@@ -20,2 +23,0 @@
-only
-removed
@@ -30,2 +31,2 @@
-x
+y
 z
"""


@pytest.fixture
def file() -> DiffFile:
    change = file_change("src/<a>.py", old_blob="1" * 40, new_blob="2" * 40)
    return DiffFile(0, "src/<a>.py", change, change, BODY)


def test_every_piece_of_a_hunk_has_the_box_of_the_whole_hunk(file):
    diff = b"diff --git a/x b/x\nindex %s..%s 100644\n" % (b"1" * 40, b"2" * 40) + BODY
    parts = parts_of([file.new], spans_of(diff))
    ticks = PartTicks(parts).of(file)
    assert ticks.value == parts[0].file_id
    assert len(parts) == len(file.hunks) == 4
    for part, hunk in zip(parts, file.hunks, strict=True):
        for begin in range(len(hunk)):
            row = ticks.row_above(hunk[begin:])
            assert re.findall(r'value="([^"]+)"', row) == [part.id], (part.label, begin)
            assert "<a>" not in row
    cut = Slice(file, 1, 5).hunks()
    rows = "".join(map(ticks.row_above, cut))
    assert re.findall(r'value="([^"]+)"', rows) == [part.id for part in parts[:2]]


def test_a_file_with_one_hunk_has_no_box_but_its_own(file):
    parts = parts_of([file.new], {})
    ticks = PartTicks(parts).of(file)
    assert (ticks.value, ticks.row_above(file.hunks[0])) == (parts[0].id, "")
