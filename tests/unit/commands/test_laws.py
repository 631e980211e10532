"""What holds of every text and every command."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.commands import Approve, Ask, InvalidCommand, Reply, format_command, parse
from tests.unit.commands.strategies import anything, commands

pytestmark = pytest.mark.surfaces


@given(anything, st.booleans())
def test_any_text_is_read_as_something(text, bound):
    found = parse(text, bound=bound)
    if isinstance(found, InvalidCommand):
        assert found.sentence


@given(commands)
def test_every_command_reads_back_as_itself(command):
    line = format_command(command)
    assert parse(line, bound=True) == command, line
    if getattr(command, "number", 1) is not None:
        assert parse(line, bound=False) == command, line


@given(anything, st.booleans())
def test_what_begins_with_a_slash_is_never_a_request_by_accident(text, bound):
    found = parse(f"/{text}", bound=bound)
    if isinstance(found, Ask | Reply):
        assert text.lower().startswith(("task", "ask", "reply", "countersign"))


@given(anything, st.booleans())
def test_nothing_but_a_plain_word_approves(text, bound):
    found = parse(text, bound=bound)
    if isinstance(found, Approve):
        assert "approve" in text.lower()


@pytest.mark.parametrize(
    "piece",
    [" ", "\n", "--repo ", "--repo web ", '"', "“", "in repo ", "in ", "-", "—", "/", "12 ", "a", "\u0301", "--reason ",
     "é", "in repo  ", "--repo=\t", "/task ", "\u200b", "1,", 'every "'],
)  # fmt: skip
@pytest.mark.parametrize("begin", ["", "/task ", '/every "', "/pick 1 ", "/reject 1 ", "/progress 1 ", "approve ", "/"])
def test_the_longest_texts_are_read_at_once(piece, begin):
    text = (begin + piece * 66_000)[: 64 * 1024 // max(1, len(piece.encode()) // len(piece))]
    started = time.process_time()
    parse(text, bound=False)
    parse(text, bound=True)
    assert time.process_time() - started < 0.5


def test_one_byte_more_than_the_most_is_too_long():
    assert parse("é" * 32 * 1024, bound=False) == Ask("é" * 32 * 1024)
    assert isinstance(parse("é" * 32 * 1024 + "x", bound=False), InvalidCommand)
