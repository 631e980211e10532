"""Every kind of card, drawn by the surface, posted through the wire and accepted by Telegram."""

from __future__ import annotations

import asyncio

import pytest

from bot.cards.build import build_card
from bot.cards.diff import read_diff
from bot.cards.page import diff_page
from bot.cards.parts import ActionKind
from bot.surfaces.port import Attachment, Buttons, Place, Response
from tests.fakes.telegram.words import slice_units
from tests.unit.cards import documents as docs
from tests.unit.cards.documents import NOW
from tests.unit.cards.naughty import NAUGHTY

pytestmark = pytest.mark.surfaces

KINDS = [
    docs.document,
    docs.staged,
    docs.asking,
    docs.queued,
    docs.refused_by_guard,
    docs.published,
    docs.failed,
    docs.rejected,
    docs.second_revision,
]


def buttons_of(card):
    return Buttons({action: f"{n:04d}{'x' * 18}" for n, action in enumerate(card.actions)})


def drawn(surface, document, diff=docs.DIFF, *, delivered=False):
    card = build_card(document, now=NOW)
    return surface.render(card, read_diff(diff) if diff else None, buttons_of(card), delivered=delivered)


async def test_telegram_takes_every_kind_of_card_and_every_change_of_it(sender):
    place = Place("telegram", str(sender.team.id), "7")
    number = await sender.surface.post(place, drawn(sender.surface, docs.document()), None)
    for kind in KINDS:
        for delivered in (False, True):
            assert (
                await sender.surface.edit(place, number, drawn(sender.surface, kind(), delivered=delivered)) == number
            )
    assert len(sender.team.by_bot()) == 1
    assert sender.telegram.violations == []


async def test_telegram_takes_cards_of_naughty_words_with_and_without_entities(sender):
    place = Place("telegram", str(sender.team.id))
    for refuses in (False, True):
        sender.telegram.refuse_entities = refuses
        cards = [docs.staged(title=text, requester=text, reason=text, turns=[docs.turn(1, text)]) for text in NAUGHTY]
        await asyncio.gather(*(sender.surface.post(place, drawn(sender.surface, card), None) for card in cards))
    assert len(sender.team.by_bot()) == 2 * len(NAUGHTY)
    found = [(message.text, entity) for message in sender.team.by_bot() for entity in message.entities]
    acting = {slice_units(text, e["offset"], e["length"]) for text, e in found if e["type"] in ("url", "mention")}
    assert acting <= {"docs/install.md", "install.md"}  # in the diff, whose bytes stay what they are without entities
    assert {e["type"] for _, e in found} <= {"bold", "italic", "code", "pre", "blockquote", "url"}
    assert sender.telegram.violations == []


async def test_approve_comes_with_the_diff_and_brings_its_own_id_back(harness):
    """A diff too long for a message: first its files, then the button."""
    diff = docs.DIFF + b"".join(b"+line %d\n" % n for n in range(3000))
    place = Place("telegram", str(harness.team.id))
    card = build_card(docs.staged(), now=NOW)
    first = harness.surface.render(card, read_diff(diff), buttons_of(card), delivered=False)
    assert first.hides_lines
    number = await harness.surface.post(place, first, None)
    shown = harness.team.messages[int(number)]
    assert not any("Approve" in button.label for button in shown.buttons)
    files = [
        Attachment("142.patch", diff, "text/x-diff"),
        Attachment("142.html", diff_page(card, diff), "text/html"),
    ]
    await harness.surface.attach(place, files, f"{card.label}: the whole diff", number)
    await harness.surface.edit(
        place, number, harness.surface.render(card, read_diff(diff), buttons_of(card), delivered=True)
    )
    harness.inbox.answers = lambda _said: Response("Approved.")
    (click,) = harness.telegram.person("Lee").clicks(shown, "Approve 9c1e")
    await click.answered()
    approve = next(action for action in card.actions if action.kind is ActionKind.APPROVE)
    (clicked,) = harness.inbox.messages
    assert clicked.button == buttons_of(card).id_of(approve)
    assert [m.document.name for m in harness.team.by_bot() if m.document] == ["142.patch", "142.html"]
