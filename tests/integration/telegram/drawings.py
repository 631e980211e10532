"""Cards as the surface draws them, made by hand."""

from __future__ import annotations

from bot.surfaces.port import RenderedCard
from bot.surfaces.telegram.card import TelegramButton, TelegramCard
from bot.surfaces.telegram.entities import TextSpan

ROWS = ((TelegramButton("✅ Approve 9c1e", "b-approve"), TelegramButton("❌ Reject", "b-reject")),)


def drawing(text="a card", spans=(), plain=None, rows=ROWS):
    return RenderedCard(
        TelegramCard(text, tuple(TextSpan(*span) for span in spans), text if plain is None else plain, rows)
    )
