"""The place of a conversation on a surface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Place:
    """Where a conversation is.

    `channel` is the platform's immutable id of the chat, channel or repository, `thread` that of the thread, topic or
    pull request in it (None: no thread). `private` is true for a direct message with one person.
    """

    surface: str
    channel: str
    thread: str | None = None
    private: bool = False

    @property
    def address(self) -> tuple[str, str, str | None]:
        """Surface, channel and thread, which identify a place."""
        return self.surface, self.channel, self.thread

    def to_json(self) -> dict[str, Any]:
        """The place in its stored form."""
        return {"surface": self.surface, "channel": self.channel, "thread": self.thread, "private": self.private}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Place:
        """Read what `to_json` wrote."""
        return cls(**value)
