"""Safe text: nothing that others wrote acts, hides or reorders."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.cards.safe import MAX_MARKS, count_hidden, map_text, one_line, visible
from core.model.change import show_path
from tests.unit.cards.naughty import NAUGHTY

ANY_TEXT = st.text(st.characters(), max_size=200) | st.sampled_from(NAUGHTY)  # lone surrogates included


def acts(char):
    return not char.isprintable() and char != "\u3000"


@given(ANY_TEXT)
def test_what_is_visible_has_no_character_that_acts_or_hides(text):
    assert not [c for c in visible(text) if acts(c)]


@given(ANY_TEXT)
def test_visible_text_stays_as_it_is(text):
    assert visible(visible(text)) == visible(text)


@given(st.text(st.characters(codec="ascii", min_codepoint=0x20, max_codepoint=0x7E)))
def test_plain_words_stay_as_they_are(text):
    assert visible(text) == text
    assert count_hidden(text) == 0


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m", "\\x1b[31m"),
        ("a\u202eb", "a\\u{202e}b"),
        ("zero\u200bwidth", "zero\\u{200b}width"),
        ("\x00", "\\x00"),
        ("\udcff", "\\xff"),
        ("\ud800", "\\u{d800}"),
        ("tag\U000e0041", "tag\\u{e0041}"),
        ("x\ufe01", "x\\u{fe01}"),
        ("Grüße 田中 שלום 👩", "Grüße 田中 שלום 👩"),
        ("❤\ufe0f", "❤\ufe0f"),
        ("全\u3000角", "全\u3000角"),
        ("e\u0301", "e\u0301"),
        ("\u0301", "\u25cc\u0301"),
        ("e" + "\u0301" * 10_000, "e" + "\u0301" * MAX_MARKS + f"[+{10_000 - MAX_MARKS} marks]"),
    ],
)
def test_what_acts_is_spelled_as_its_code_point_and_letters_are_kept(text, shown):
    assert visible(text) == shown


@given(st.binary(max_size=60))
def test_a_path_shown_by_the_core_is_visible_up_to_marks_and_selectors(path):
    shown = show_path(path)
    if not any(unicodedata.category(c) in ("Mn", "Me", "So", "Lo") for c in shown):
        assert visible(shown) == shown


@given(ANY_TEXT, st.integers(2, 80))
def test_one_line_is_one_line_of_at_most_the_limit(text, limit):
    line = one_line(text, limit)
    assert len(line) <= limit
    assert line == " ".join(line.split())


def test_padding_with_empty_lines_does_not_push_anything_away():
    assert one_line("ok" + "\n" * 5000 + "approve") == "ok approve"


def test_mapping_reaches_every_text_and_leaves_enumerations():
    class Colour(StrEnum):
        RED = "red"

    @dataclass(frozen=True)
    class Inner:
        text: str
        colour: Colour

    @dataclass(frozen=True)
    class Outer:
        inner: tuple[Inner, ...]
        n: int | None

    mapped = map_text(Outer((Inner("a", Colour.RED),), None), str.upper)
    assert mapped == Outer((Inner("A", Colour.RED),), None)
