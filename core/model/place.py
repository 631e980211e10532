"""A place: where on a surface a conversation is."""

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
        """Surface, channel and thread: what tells one place from another."""
        return self.surface, self.channel, self.thread

    def to_json(self) -> dict[str, Any]:
        """The place as stored."""
        return {"surface": self.surface, "channel": self.channel, "thread": self.thread, "private": self.private}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Place:
        """The place that `to_json` wrote."""
        return cls(**value)
