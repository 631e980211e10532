"""Channel scopes: which repositories each channel is for, and where outages of other surfaces are announced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.model.place import Place
from core.services.conversations import Conversations

if TYPE_CHECKING:
    from bot.surfaces.settings import Surfaces


@dataclass(slots=True)
class ChannelScopes:
    """Which repositories a place is for; a channel whose id changed keeps the repositories of its old id."""

    configured: Surfaces
    conversations: Conversations
    _former_ids: dict[tuple[str, str], str] = field(default_factory=dict)

    async def load(self) -> None:
        """Load the channel moves that earlier processes recorded."""
        for surface in ("telegram", "slack"):
            for channel, to in (await self.conversations.moved_channels(surface)).items():
                self.moved(surface, channel, to)

    def moved(self, surface: str, channel: str, to: str) -> None:
        """Record that a channel has another id from now on."""
        self._former_ids[surface, to] = self._former_ids.get((surface, channel), channel)

    def current(self, surface: str, chats: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        """The configured channels under their current ids."""
        ids = {former: to for (name, to), former in self._former_ids.items() if name == surface}
        return {ids.get(chat, chat): repos for chat, repos in chats.items()}

    def of(self, place: Place) -> tuple[str, ...] | None:
        """The repositories that a place is for: None for all of them, empty for a channel that is not configured."""
        if place.private:
            return None
        configured = self.configured
        if place.surface == "github":
            name = configured.github.repositories.get(place.channel) if configured.github else None
            return (name,) if name else ()
        telegram = configured.telegram.chats if configured.telegram else {}
        slack = configured.slack.channels if configured.slack else {}
        listed = telegram if place.surface == "telegram" else slack
        for channel in self._ids_of(place):
            if channel in listed:
                return listed[channel] or None
        return ()

    def _ids_of(self, place: Place) -> list[str]:
        """Every id that the place's channel has or had, the one that the place names first."""
        surface, channel = place.surface, place.channel
        first = self._former_ids.get((surface, channel), channel)
        later = [to for (name, to), former in self._former_ids.items() if (name, former) == (surface, first)]
        return [channel, first, *later]


def announcement_places(configured: Surfaces) -> list[Place]:
    """Where an outage of another surface is announced: the first configured channel of each surface."""
    places = []
    for surface, chats in (
        ("telegram", configured.telegram.chats if configured.telegram else {}),
        ("slack", configured.slack.channels if configured.slack else {}),
    ):
        places += [Place(surface, channel) for channel in list(chats)[:1]]
    return places
