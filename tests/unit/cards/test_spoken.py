"""Mends in a chat's words."""

from __future__ import annotations

import pytest

from bot.cards.spoken import spoken

pytestmark = pytest.mark.surfaces


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("See it with `countersign show 12`.", "See it with /show 12."),
        ('Reply to change it: countersign reply 12 "…".', 'Reply to change it: /reply 12 "…".'),
        ("See them with `countersign list`.", "See them with /progress."),
        ("See why with `countersign policy explain`.", "See why with /why."),
        ("Let it run with `countersign resume`.", "Let it run with /release."),
        ("Run `countersign doctor`.", "Run `countersign doctor`."),
        ('reject 12 --reason "no"', 'reject 12 --reason "no"'),
        ("nobody called 'x' is in countersign.yaml", "nobody called 'x' is in countersign.yaml"),
    ],
)
def test_commands_are_said_as_the_chat_has_them(text, said):
    assert spoken(text) == said
    assert spoken(said) == said
