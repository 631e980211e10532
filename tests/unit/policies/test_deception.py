"""Text that reads differently than it runs, and removed tests (security.md 83, 100, 158)."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from core.model.staged_diff import GuardVerdict
from tests.unit.policies.cases import ANYWHERE, blocked, judged, of, warned

pytestmark = pytest.mark.law

REORDERING = ["\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u2066", "\u2067", "\u2068", "\u2069"]


@pytest.mark.parametrize("char", REORDERING)
@pytest.mark.parametrize(
    "path", ["a.py", "src/x.rs", "a.JS", "Makefile", "Dockerfile.prod", "deploy", "x.sql", "main.tf"]
)
async def test_guard_19_what_reorders_a_program_blocks_and_is_the_first_finding(char, path):
    report = await judged({path: f"#!/bin/sh\nif admin: {char} return\n".encode()})
    first = report.findings[0]
    assert (first.check, first.verdict, first.path) == ("unicode", GuardVerdict.BLOCK, path)
    assert f"U+{ord(char):04X}" in first.detail
    assert "line 2" in first.detail


@pytest.mark.parametrize("path", ["a.md", "locale/ar.json", "notes.txt", "config.yaml", "index.html"])
async def test_guard_19_in_other_text_it_is_a_warning_and_the_first_finding(path):
    report = await judged({path: "a \u202e b\n".encode()})
    assert not report.blocked
    first = report.findings[0]
    assert (first.check, first.verdict, first.path) == ("unicode", GuardVerdict.WARN, path)
    assert "U+202E RIGHT-TO-LEFT OVERRIDE on line 1" in first.detail


async def test_guard_19_a_lane_may_allow_it():
    lane = replace(ANYWHERE, bidi=True)
    report = await judged({"a.py": "x = '\u202e'\n".encode()}, lane=lane)
    assert not report.blocked
    assert report.findings[0].check == "unicode"
    told = of(await judged({"a.py": "x = '\u202e'\n".encode()}), "unicode")[0].detail
    assert "lane any has no `bidi: true`" in told


async def test_guard_19_what_was_there_before_does_not_block_again():
    old = "x = '\u202e'\n".encode()
    assert not (await judged({"a.py": old + b"y = 1\n"}, {"a.py": old})).blocked


@pytest.mark.parametrize(
    ("word", "plain"),
    [
        ("\uff45\uff56\uff41\uff4c", "eval"),
        ("\U0001d41e\U0001d42f\U0001d41a\U0001d425", "eval"),
        ("\u1d49\u1d5b\u1d43\u02e1", "eval"),
        ("\ufb01lter", "filter"),
        ("o\u017f", "os"),
        ("__\uff49\uff4d\uff50\uff4f\uff52\uff54__", "__import__"),
    ],
)
@pytest.mark.parametrize("line", ["{}('x')", "a.{}()", "{} = 1", "# {}"])
async def test_guard_15_letters_that_python_folds_are_flagged(word, plain, line):
    report = await judged({"a.py": line.format(word).encode() + b"\n"})
    assert warned(report, "unicode")
    assert "line 1" in of(report, "unicode")[0].detail
    assert (
        plain in " ".join(f.detail for f in of(report, "unicode")) or "among Latin" in of(report, "unicode")[0].detail
    )


@pytest.mark.parametrize(
    "word",
    [
        "\u0441\u043e\u0440\u0443",  # copy
        "\u0430\u0441\u0441\u0435\u0455\u0455",  # access
        "\u0435\u0445\u0435\u0441"[:4],
        "\u0430",
        "\u0391\u03a1\u0399"[:3],  # API
        "\u03bf\u03bd",
        "\u13aa\u13da",
    ],
)
@pytest.mark.parametrize(
    "line", ["{}()", "x = {} + 1", "def {}(a):", '"{}": 1', "x.{} = y  # \u043f\u0440\u0438\u0432\u0435\u0442"]
)
async def test_guard_15_a_whole_word_of_look_alikes_is_flagged_in_code(word, line):
    report = await judged({"a.py": line.format(word).encode() + b"\n"})
    assert warned(report, "unicode")
    assert "only look Latin" in of(report, "unicode")[0].detail


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (
            "a.py",
            "# \u0441\u043e\u0440 \u0438\u0437 \u0438\u0437\u0431\u044b, \u043e\u043d\u0438 \u0441 \u043d\u0430\u043c\u0438",  # noqa: E501
        ),
        ("a.py", "x = '\u043f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440'"),
        ("a.jl", "\u03c1 = 5; \u03bd = 2; \u0394x = \u03b1 * \u03b2"),
        ("a.md", "\u0441\u043e\u0440"),
        ("a.md", "\uff21\uff22\uff23 \u65e5\u672c\u8a9e"),
        ("a.py", "# \u65e5\u672c\u8a9e\u306e\u30b3\u30e1\u30f3\u30c8\u3001\u5168\u89d2"),
        ("a.py", "x = 'caf\u00e9 \u00fcber na\u00efve \u00e5ngstr\u00f6m'"),
        ("a.py", "# 5 \u00b5m, 10 \u2126, x\u00b2, \u00bd, \u2122"),
        (
            "a.md",
            "\u2764\ufe0f \u2600\ufe0f 1\ufe0f\u20e3 #\ufe0f\u20e3 \u00a9\ufe0f \U0001f3f3\ufe0f\u200d\U0001f308 \u2603\ufe0e",  # noqa: E501
        ),
        ("a.md", "\u845b\ufe00 \u2229\ufe00"),
    ],
)
async def test_guard_15_words_of_other_scripts_and_emoji_are_ordinary(path, text):
    assert not warned(await judged({path: text.encode()}), "unicode")


@pytest.mark.parametrize(
    "text",
    [
        "x = 'a\ufe00\ufe01\ufe02'",
        "hello\ufe0f",
        "\ufe00",
        "\U0001f600\ufe0f\ufe01\ufe03",
        "\U0001f600\ufe05",
        "\U0001f600\U000e0150\U000e0151",
        "a \ufe0e b",
        "\u2764\ufe0f\ufe0f\ufe0e",
    ],
)
@pytest.mark.parametrize("path", ["a.py", "a.md"])
async def test_guard_15_variation_selectors_that_carry_data_are_flagged(text, path):
    report = await judged({path: text.encode()})
    assert "VARIATION SELECTOR" in of(report, "unicode")[0].detail


@pytest.mark.parametrize("gap", [" " * 100, " " * 4000, "\t" * 25, "\u00a0" * 120, "\u3000" * 100, " \t" * 60])
@pytest.mark.parametrize("line", ["x = 1;{}import os", "{}evil()", "# a{}b"])
async def test_guard_15_code_behind_many_spaces_is_flagged(gap, line):
    report = await judged({"a.py": b"first\n" + line.format(gap).encode() + b"\n"})
    assert "far to the right on line 2" in of(report, "unicode")[0].detail


async def test_guard_15_code_below_many_empty_lines_is_flagged():
    report = await judged({"a.py": b"x\n" + b"\n" * 150 + b"evil()\n"})
    assert "line 152, below" in of(report, "unicode")[0].detail
    assert not warned(await judged({"a.py": b"x\n" + b"\n" * 20 + b"y\n" + b"\n" * 500}), "unicode")


@pytest.mark.parametrize(
    "text", ["x" + " " * 99 + "y", "x" + " " * 4000, "\t" * 12 + "deep()", "| a" + " " * 60 + "| b |"]
)
async def test_guard_15_ordinary_spaces_are_not_flagged(text):
    assert not warned(await judged({"a.md": text.encode()}), "unicode")


@pytest.mark.parametrize(
    "path",
    """
    tests/test_a.py test_a.py src/a_test.go web/a.test.ts web/a.spec.js spec/models/a_spec.rb src/test/java/ATest.java
    __tests__/a.js Tests/ATests.cs e2e/login.ts tests/data/a.json
    """.split(),  # noqa: SIM905
)
async def test_guard_15_a_deleted_test_is_flagged(path):
    report = await judged({"src/a.py": b"2"}, {path: b"x", "src/a.py": b"1"})
    (finding,) = of(report, "tests")
    assert (finding.verdict, finding.detail, finding.path) == (GuardVerdict.WARN, "deletes a test", path)


async def test_guard_15_a_test_that_moves_is_not_deleted_unless_it_is_no_test_any_more():
    assert not warned(await judged({"tests/b/test_a.py": b"x"}, {"tests/test_a.py": b"x"}), "tests")
    assert warned(await judged({"old/a.txt": b"x"}, {"tests/test_a.py": b"x"}), "tests")
    assert not warned(await judged({}, {"src/contest.py": b"x"}), "tests")


CASES = {
    "a_test.py": (b"def test_a():\n    pass\n\ndef test_b():\n    pass\n", b"def test_a():\n    pass\n"),
    "a_test.go": (b"func TestA(t *testing.T) {}\nfunc TestB(t *testing.T) {}\n", b"func TestA(t *testing.T) {}\n"),
    "a.test.ts": (b"it('a', () => {})\ntest(\"b\", () => {})\n", b"it('a', () => {})\n"),
    "ATest.java": (b"@Test\nvoid a() {}\n@Test\nvoid b() {}\n", b"@Test\nvoid a() {}\n"),
    "src/lib.rs": (b"#[test]\nfn a() {}\n#[tokio::test]\nfn b() {}\n", b"#[test]\nfn a() {}\n"),
}


@pytest.mark.parametrize("path", CASES)
async def test_guard_15_fewer_tests_in_a_file_are_flagged(path):
    before, after = CASES[path]
    assert "has 1 test less than before" in {f.detail for f in of(await judged({path: after}, {path: before}), "tests")}
    assert not warned(await judged({path: before}, {path: after}), "tests")


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("tests/test_a.py", "@pytest.mark.skip"),
        ("tests/test_a.py", "@pytest.mark.skipif(True, reason='x')"),
        ("tests/test_a.py", "@unittest.skip('x')"),
        ("tests/test_a.py", "    self.skipTest('x')"),
        ("a.test.js", "it.skip('a', () => {})"),
        ("a.test.js", "xdescribe('a', () => {})"),
        ("a.test.js", "describe.only('a', () => {})"),
        ("a_test.go", "\tt.Skip()"),
        ("ATest.java", "@Disabled"),
        ("tests/lib.rs", "#[ignore]"),
    ],
)
async def test_guard_15_a_test_that_is_skipped_is_flagged(path, line):
    report = await judged({path: f"x\n{line}\n".encode()}, {path: b"x\n"})
    assert "skips tests in 1 more place than before" in {f.detail for f in of(report, "tests")}


LONG = {
    "wide": b"x " * 2_500_000,
    "spaces": b" " * 5_000_000,
    "gaps": (b"x" + b" " * 99) * 50_000,
    "tabs": (b"x" + b"\t" * 24) * 200_000,
    "lines": b"\n" * 5_000_000,
    "cyrillic": "\u0441\u043e\u0440 ".encode() * 700_000,
    "selectors": "\U0001f600\ufe0f".encode() * 700_000,
    "tests": b"it ('a')\n" * 500_000,
    "defs": b"\t" * 2_500_000 + b"def tes" * 350_000,
}


@pytest.mark.parametrize("name", LONG)
async def test_guard_15_five_megabytes_take_seconds_at_most(name):
    from policies.checks.deception import check_text
    from policies.checks.tests import removed_tests
    from tests.builders import file_change

    file, text = file_change(), LONG[name].decode()
    began = time.process_time()
    check_text(ANYWHERE, file, text, b"")
    removed_tests(file, LONG[name], b"")
    assert time.process_time() - began < 10


async def test_guard_19_ordinary_code_is_not_blocked():
    assert not blocked(await judged({"a.py": b"x = 1\n"}), "unicode")
