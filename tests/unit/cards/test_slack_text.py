"""Words on Slack: what is escaped stays what it was, what is cut says so, and what people type comes out plain."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.surfaces.slack.text import (
    MAX_TEXT,
    escape,
    split_text,
    strip_markup,
    truncate,
    truncate_middle,
)
from bot.surfaces.utf16 import utf16_length
from tests.fakes.slack.rules import PINGS
from tests.unit.cards.naughty import NAUGHTY

pytestmark = pytest.mark.surfaces

TEXTS = st.one_of(st.text(), st.sampled_from(NAUGHTY))


@given(TEXTS)
def test_escaped_text_holds_nothing_that_slack_acts_on_and_reads_back_as_it_was(text):
    assert not PINGS.search(escape(text))
    assert strip_markup(escape(text)) == text


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("set a &lt; b &amp;&amp; c", "set a < b && c"),
        ("fix <http://install.md|install.md>", "fix install.md"),
        ("see <https://a.example/x>", "see https://a.example/x"),
        ("see <https://a.example/|a.example>", "see a.example"),
        ("see <https://evil.example/|the bank>", "see the bank (https://evil.example/)"),
        ("mail <mailto:a@b.example|a@b.example>", "mail a@b.example"),
        ("ask <@U1|lee> and <@U2>", "ask @lee and @U2"),
        ("in <#C1|dev>", "in #dev"),
        ("<!channel> <!subteam^S1|@docs>", "@channel @docs"),
        ("&amp;lt;", "&lt;"),
        ("a < b > c", "a < b > c"),
    ],
)
def test_slacks_markup_becomes_the_words_that_were_typed(typed, said):
    assert strip_markup(typed) == said


@given(TEXTS, st.integers(4, 200))
def test_cut_text_fits_and_whole_text_stays(text, limit):
    for cut in (truncate(text, limit), truncate_middle(text, limit)):
        assert utf16_length(cut) <= limit
        assert (cut == text) == (utf16_length(text) <= limit) or "…" in text
    assert truncate(text, 10**6) == text


@given(st.one_of(TEXTS, st.lists(TEXTS).map("\n".join)), st.integers(50, 500))
def test_a_long_text_is_split_without_losing_a_character(text, limit):
    parts = list(split_text(text, limit))
    assert all(utf16_length(escape(part)) <= limit for part in parts)
    assert "".join(parts).replace("\n", "") == text.replace("\n", "")


@pytest.mark.parametrize(("length", "parts"), [(MAX_TEXT, 1), (MAX_TEXT + 1, 2)])
def test_a_text_at_the_limit_is_one_message_and_one_past_it_is_two(length, parts):
    assert len(list(split_text("x" * length))) == parts
