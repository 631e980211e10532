"""The big list of naughty strings on a terminal; the chats' renderers have theirs beside their own tests."""

from __future__ import annotations

import io
import json
import unicodedata

import pytest

from bot.surfaces import terminal
from tests.counterparts import package
from tests.unit.cards.test_telegram import naughty_card

pytestmark = pytest.mark.surfaces


def test_none_of_the_big_list_of_naughty_strings_acts_on_a_terminal_or_loses_the_card():
    strings = json.loads((package("blns") / "resources" / "blns.json").read_text(encoding="utf-8"))
    assert len(strings) > 480
    for text in strings:
        stream = io.StringIO()
        terminal.print_card(stream, naughty_card(text), b"")
        drawn = stream.getvalue()
        acting = {c for c in drawn if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c != "\n"}
        assert not acting, (text, acting)
        assert "9c1e" in drawn, text
