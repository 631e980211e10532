"""Rooms: which repositories a place is for, and where the people of a surface are told of trouble elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from core.model.place import Place
from core.store import identities
from core.store.database import Database

if TYPE_CHECKING:
    from bot.surfaces.settings import Surfaces


@dataclass(slots=True)
class ChannelScopes:
    """Which repositories a place is for. A channel that moved is for those of its old id, once its platform said so."""

    said: Surfaces
    database: Database
    _moved: dict[tuple[str, str], str] = field(default_factory=dict)

    async def load(self) -> None:
        """Learn which channels moved in earlier lives."""
        for surface in ("telegram", "slack"):
            moves = await self.database.read(partial(identities.moves_of, surface=surface))
            for channel, to in moves.items():
                self.moved(surface, channel, to)

    def moved(self, surface: str, channel: str, to: str) -> None:
        """A channel has another id from now on."""
        self._moved[surface, to] = self._moved.get((surface, channel), channel)

    def current(self, surface: str, chats: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        """The channels of the configuration under the ids that they have now."""
        now = {old: to for (where, to), old in self._moved.items() if where == surface}
        return {now.get(chat, chat): repos for chat, repos in chats.items()}

    def of(self, place: Place) -> tuple[str, ...] | None:
        """The repositories that a place is for; None for all of them, nothing for a channel that is not listed."""
        if place.private:
            return None
        channel = self._moved.get((place.surface, place.channel), place.channel)
        said = self.said
        if place.surface == "github":
            name = said.github.repositories.get(channel) if said.github else None
            return (name,) if name else ()
        telegram = said.telegram.chats if said.telegram else {}
        listed = telegram if place.surface == "telegram" else said.slack.channels if said.slack else {}
        return (listed[channel] or None) if channel in listed else ()


def channel_scopes_of(said: Surfaces) -> list[Place]:
    """Where people are told that another surface is in trouble: the first group of each."""
    rooms = []
    for surface, chats in (
        ("telegram", said.telegram.chats if said.telegram else {}),
        ("slack", said.slack.channels if said.slack else {}),
    ):
        rooms += [Place(surface, channel) for channel in list(chats)[:1]]
    return rooms
