"""A turn: one inbound message or click with its verified actor."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

SURFACES = frozenset({"terminal", "telegram", "slack", "github"})
"""Every surface this version has; identities and rules may name no other, but for those of enabled plugins."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who caused a fact: a person on a surface, or (both None) the system itself."""

    person: str | None = None
    surface: str | None = None


SYSTEM = Actor()


@dataclass(frozen=True, slots=True)
class Turn:
    """What a person said, where, and to which revision it led.

    `text` is data: nothing in it decides anything but the intent that is read from it.
    """

    n: int
    person: str
    surface: str
    text: str
    at: datetime
    revision: int

    def to_json(self) -> dict[str, object]:
        """The turn as the task document shows it."""
        return {
            "n": self.n,
            "person": self.person,
            "surface": self.surface,
            "text": self.text,
            "at": self.at.isoformat(),
            "revision": self.revision,
        }


@dataclass(frozen=True, slots=True)
class Question:
    """What a task waits to be told: asked once, with the answers that will be understood."""

    about: str
    text: str
    options: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """The question as stored and shown."""
        return {"about": self.about, "text": self.text, "options": list(self.options)}

    @classmethod
    def from_json(cls, value: dict[str, object]) -> Question:
        """The question that `to_json` wrote."""
        options = value["options"]
        assert isinstance(options, list)
        return cls(str(value["about"]), str(value["text"]), tuple(str(o) for o in options))
