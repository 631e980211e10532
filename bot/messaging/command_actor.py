"""The actor of a command in a conversation: who gives it, where, and by which message."""

from __future__ import annotations

from dataclasses import dataclass

from core.model.place import EVERY_REPOSITORY, Place, RepositoryScope
from core.model.turn import Actor, MessageOrigin


@dataclass(frozen=True, slots=True)
class CommandActor:
    """Who gives a command and where; `dedup` identifies the message, so that its effects happen once.

    `scope` is the repositories that the place is for. `also_by` are other people whose text the message contains.
    """

    person: str
    place: Place
    identity: str
    message_id: str
    dedup: str
    scope: RepositoryScope = EVERY_REPOSITORY
    also_by: tuple[str, ...] = ()

    @property
    def actor(self) -> Actor:
        """The same person as the services of core expect them."""
        return Actor(self.person, self.place.surface, scope=self.scope)

    @property
    def origin(self) -> MessageOrigin:
        """Where to notify them of a later outcome."""
        return MessageOrigin(self.place, self.message_id, self.identity)
