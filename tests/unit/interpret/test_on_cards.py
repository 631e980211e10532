"""A card says when a model, and not the grammar, read the request: on every surface."""

from __future__ import annotations

import io

import pytest

from bot.cards.build import build_card
from bot.cards.page import diff_page
from bot.surfaces.github.card import render_github_comment
from bot.surfaces.slack.card import render_slack_card
from bot.surfaces.telegram.card import render_telegram_card
from bot.surfaces.terminal import TerminalProfile, print_card
from tests.unit.cards import documents as docs
from tests.unit.cards.documents import NOW


def shown(**changes):
    card = build_card(docs.staged(**changes), now=NOW)
    buttons = {action: f"{n:022d}" for n, action in enumerate(card.actions)}
    stream = io.StringIO()
    print_card(stream, card, None, profile=TerminalProfile(80))
    return {
        "terminal": stream.getvalue(),
        "slack": str(render_slack_card(card, None, buttons, delivered=False).blocks),
        "telegram": render_telegram_card(card, None, buttons, delivered=False).card.plain.replace("\u2060", ""),
        "github": render_github_comment(card, None).text.replace("`", ""),
        "page": diff_page(card, docs.DIFF).decode(),
    }


SURFACES = ("terminal", "slack", "telegram", "github", "page")


@pytest.mark.parametrize("surface", SURFACES)
def test_the_model_that_read_the_request_is_named(surface):
    assert "read by local/qwen3:8b" in shown(read_by="local/qwen3:8b")[surface]


@pytest.mark.parametrize("surface", SURFACES)
def test_what_the_grammar_read_says_nothing_of_it(surface):
    assert "read by" not in shown(read_by="")[surface]
    assert "read by" not in shown()[surface]


def test_a_models_name_cannot_act():
    assert "\x1b" not in "".join(shown(read_by="local/\x1b[2J").values())
