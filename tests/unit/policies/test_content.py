"""The guard on blobs: binaries, deceptive characters, secrets, and bytes that differ from the change."""

from __future__ import annotations

import gzip
import hashlib

import pytest

from core.model.lane import Lane
from core.model.staged_diff import GuardVerdict
from policies.guard import TreeGuard
from tests.builders import terms
from tests.unit.policies.cases import ANYWHERE, Tree, blocked, judge, judged, of, warned
from tests.unit.policies.tokens import GITHUB, GITHUB_2

pytestmark = pytest.mark.law

BINARIES = Lane("b", "b", ("**",), "edit", binaries=True)


@pytest.mark.parametrize("blob", [b"\x89PNG\0", b"a" * 9000 + b"\0", b"\xff\xfe", b"\xe9t\xe9\n"])
async def test_a_binary_is_told_by_its_whole_blob_and_needs_the_lane(blob):
    assert blocked(await judged({"a.txt": blob}), "binaries")
    report = await judged({"a.txt": blob}, lane=BINARIES)
    assert warned(report, "binaries")
    assert not report.blocked


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Größe: 5\n".encode("latin-1"), "Größe: 6\n".encode("latin-1")),
        ("“a”\n".encode("cp1252"), "“b”\n".encode("cp1252")),
    ],
)
async def test_edits_r14_a_text_in_an_old_encoding_that_was_there_is_shown_and_warned_of(before, after):
    report = await judged({"a.txt": after}, {"a.txt": before})
    assert not report.blocked
    assert "not UTF-8" in of(report, "binaries")[0].detail


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"plain\n", "Größe\n".encode("latin-1")),  # it was UTF-8
        ("Größe\n".encode("latin-1"), b"\xe9\x00"),
        ("Größe\n".encode("latin-1"), b"\xe9\x01\x02"),
        (b"\xe9\x01\x02", "Größe\n".encode("latin-1")),  # it was no text
        ("ab\n".encode("utf-16"), "ac\n".encode("utf-16")),
    ],
)
async def test_bytes_that_become_unreadable_or_were_so_are_a_binary(before, after):
    assert blocked(await judged({"a.txt": after}, {"a.txt": before}), "binaries")


async def test_one_byte_that_is_not_utf_8_hides_no_deceptive_character():
    after = b"\xe9\n" + "a \u202e b\n".encode()
    report = await judged({"a.txt": after}, {"a.txt": b"\xe9\n"})
    assert "U+202E" in of(report, "unicode")[0].detail


async def test_a_latin_1_text_that_moves_is_no_new_binary():
    text = "Größe\n".encode("latin-1")
    assert not (await judged({"b.txt": text}, {"a.txt": text})).blocked


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 9\n"


async def test_a_pointer_of_git_lfs_is_judged_as_the_binary_that_it_stands_for():
    other = POINTER.replace(b"a" * 64, b"b" * 64)
    for before in ({}, {"a.bin": POINTER}, {"a.bin": b"text\n"}):
        assert blocked(await judged({"a.bin": other}, before), "binaries")
        assert warned(await judged({"a.bin": other}, before, lane=BINARIES), "binaries")
    assert not (await judged({"b.bin": POINTER}, {"a.bin": POINTER})).blocked, "moving it brings nothing new"
    report = await judged({"a.bin": b"the text itself\n"}, {"a.bin": POINTER})
    assert "was a Git LFS pointer" in of(report, "binaries")[0].detail
    assert not (await judged({"a.md": b"version https://git-lfs.github.com/spec/v1 is its first line\n"})).blocked


async def test_text_that_speaks_of_binaries_is_text():
    assert not (await judged({"a.txt": "Binary files differ \u00e9\n".encode(), "empty": b""})).blocked


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a \u200f b", "U+200F RIGHT-TO-LEFT MARK on line 2"),
        ("is\u200badmin", "U+200B ZERO WIDTH SPACE on line 2"),
        ("is\u200dadmin", "U+200D ZERO WIDTH JOINER on line 2"),
        ("x\U000e0041", "U+E0041 TAG LATIN CAPITAL LETTER A on line 2"),
        ("x\U000e0101", "U+E0101 VARIATION SELECTOR-18 on line 2"),
        ("\u3164 = 1", "U+3164 HANGUL FILLER"),
        ("say\u041dello", "U+041D CYRILLIC CAPITAL LETTER EN among Latin letters on line 2"),
        ("p\u0430ypal", "U+0430 CYRILLIC SMALL LETTER A among Latin letters"),
        ("\uff41dmin", "U+FF41 FULLWIDTH LATIN SMALL LETTER A"),
        ("a\rb", "U+000D"),
        ("\x1b[2K", "U+001B"),
        ("a\u2028b", "U+2028 LINE SEPARATOR"),
    ],
)
async def test_characters_that_deceive_the_eye_are_shown_by_code_point_and_line(text, shown):
    report = await judged({"a.py": f"first\n{text}\n".encode()}, {"a.py": b"first\n"})
    (finding,) = of(report, "unicode")
    assert finding.verdict is GuardVerdict.WARN
    assert shown in finding.detail
    assert finding.path == "a.py"


@pytest.mark.parametrize(
    "text",
    [
        "plain\r\n",
        "\u0440\u0443\u0441\u0441\u043a\u0438\u0439\n",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f\n",
        "\ufeffbom\n",
        "\u65e5\u672c\u8a9e 5\u03a9\n",
    ],
)
async def test_ordinary_text_of_any_script_is_not_flagged(text):
    assert not warned(await judged({"a.md": text.encode()}), "unicode")


async def test_deceptive_lines_that_were_there_before_are_not_told_again():
    old = "x\u202ey\n".encode()
    assert not warned(await judged({"a": old + b"new\n"}, {"a": old}), "unicode")


async def test_a_very_long_line_is_flagged():
    assert "line 2" in of(await judged({"a.js": b"x\n" + b"y" * 6000}), "unicode")[0].detail


async def test_a_new_secret_blocks_with_rule_and_line_and_is_not_shown():
    report = await judged({"a.py": f"x\nkey = '{GITHUB}'\n".encode()})
    (finding,) = of(report, "secrets")
    assert finding.verdict is GuardVerdict.BLOCK
    assert finding.detail == "github-pat on line 2"
    assert finding.path == "a.py"
    assert GITHUB not in str(report)


async def test_a_secret_that_was_there_before_warns_and_a_second_one_blocks():
    before = f"key = '{GITHUB}'\n".encode()
    moved_down = await judged({"a": b"new\n" + before}, {"a": before})
    assert warned(moved_down, "secrets")
    assert not moved_down.blocked
    assert blocked(await judged({"a": before + GITHUB_2.encode()}, {"a": before}), "secrets")
    assert blocked(await judged({"b": before}, {}), "secrets")


async def test_a_file_moved_whole_brings_no_new_secret():
    blob = f"key = '{GITHUB}'\n".encode()
    report = await judged({"b": blob}, {"a": blob})
    assert warned(report, "secrets")
    assert not blocked(report, "secrets")


async def test_a_secret_in_a_file_name_blocks():
    assert blocked(await judged({f"notes/{GITHUB}.txt": b"x"}), "secrets")


async def test_an_archive_is_uninspectable_unless_the_lane_takes_binaries():
    blob = gzip.compress(b"x")
    report = await judged({"a.gz": blob})
    assert blocked(report, "secrets")
    assert "uninspectable" in of(report, "secrets")[0].detail
    assert not (await judged({"a.gz": blob}, lane=BINARIES)).blocked


async def test_bytes_that_are_not_those_of_the_change_block():
    tree = Tree({}, {"a": b"good"})
    tree.blobs = dict.fromkeys(tree.blobs, b"evil")
    assert blocked(await judge(tree), "blobs")


async def test_a_blob_that_cannot_be_read_is_a_fault_and_no_verdict():
    tree = Tree({}, {"a": b"good"})
    tree.blobs.clear()
    with pytest.raises(KeyError):
        await judge(tree)


async def test_a_documented_example_key_passes_with_a_note_and_one_more_letter_blocks():
    key = "AKIA" + "IOSFODNN7EXAMPLE"
    report = await judged({"a.md": f"export AWS_ACCESS_KEY_ID={key}\n".encode()})
    (finding,) = of(report, "secrets")
    assert finding.verdict is GuardVerdict.PASS
    assert finding.detail == "aws-access-token on line 1 is an example key of AWS's documentation"
    assert blocked(await judged({"a.md": f"export AWS_ACCESS_KEY_ID={key[:-1]}F\n".encode()}), "secrets")


async def test_the_operators_baseline_lets_exactly_its_secret_pass():
    tree = Tree({}, {"a.py": f"key = '{GITHUB}'\nother = '{GITHUB_2}'\n".encode()})
    known = hashlib.sha256(GITHUB.encode()).hexdigest()
    report = await TreeGuard(known.__eq__).judge(tree.change, ANYWHERE, terms(), tree)
    blocking, noted = of(report, "secrets")
    assert (blocking.verdict, blocking.detail) == (GuardVerdict.BLOCK, "github-pat on line 2")
    assert (noted.verdict, noted.detail) == (
        GuardVerdict.PASS,
        "github-pat on line 1 is in this home's baseline of secrets",
    )
