"""A Slack for each test, a surface connected to it, and a fake inbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest_asyncio

from bot.cards.build import build_card
from bot.cards.diff import read_diff
from bot.cards.model import Card
from bot.surfaces.port import Buttons, IncomingMessage, Place, RenderedCard
from bot.surfaces.slack.surface import SlackSurface
from tests.fakes.inbox import FakeInbox
from tests.fakes.slack.fixtures import running, slack, slack_program
from tests.fakes.slack.people import Slack
from tests.fakes.slack.program import DEV
from tests.unit.cards import documents as docs

__all__ = ["slack", "slack_program"]

CHANNEL = Place("slack", DEV)


@dataclass(slots=True)
class SlackHarness:
    """A running surface, its Slack, and its inbox."""

    slack: Slack
    surface: SlackSurface
    inbox: FakeInbox

    async def received(self, count: int = 1) -> list[IncomingMessage]:
        found = await self.inbox.received(count)
        return [said for said in found if isinstance(said, IncomingMessage)]


@pytest_asyncio.fixture
async def harness(slack) -> AsyncIterator[SlackHarness]:
    surface, inbox = SlackSurface(slack.config()), FakeInbox()
    async with running(surface, inbox, slack):
        yield SlackHarness(slack, surface, inbox)


def staged_card(**changes) -> Card:
    return build_card(docs.staged(**changes), now=docs.NOW)


def drawn_by(surface, card: Card | None = None, *, delivered: bool = False) -> RenderedCard:
    card = card or staged_card()
    buttons = Buttons({action: f"opaque-{action.kind}-{n}" for n, action in enumerate(card.actions)})
    drawn: RenderedCard = surface.render(card, read_diff(docs.DIFF), buttons, delivered=delivered)
    return drawn
