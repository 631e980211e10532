"""A turn: one inbound message or button press with its verified actor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from core.model.budget_question import BudgetQuestion
from core.model.place import EVERY_REPOSITORY, Place, RepositoryScope
from core.model.stored import StoredObject

API = "api"
"""The surface of requests with an API token; who acts there is the owner of the token."""
WEB = "web"
"""The surface of the pages; people sign in there by a link."""
MCP = "mcp"
"""The surface of tools that a program calls for a person; nothing is decided there."""
WITHOUT_IDENTITIES = frozenset({API, WEB, MCP})
"""Surfaces on which people have no accounts."""
SURFACES = frozenset({"terminal", "telegram", "slack", "github"}) | WITHOUT_IDENTITIES
"""The built-in surfaces; rules may name these and the surfaces of enabled plugins."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who causes a fact: a person on a surface, or (both None) the system itself.

    `is_operator` is true for the terminal's user without ``--as``, who owns the home directory. `scope` are the
    repositories of the conversation in which the actor acts; tasks of others do not exist there.
    """

    person: str | None = None
    surface: str | None = None
    is_operator: bool = False
    scope: RepositoryScope = EVERY_REPOSITORY


SYSTEM = Actor()


@dataclass(frozen=True, slots=True)
class MessageOrigin:
    """Where a message came from, so that a response can be sent there; empty for a terminal.

    `reply_to` is the id of the message, `only_to` the sender's identity on that surface.
    """

    place: Place | None = None
    reply_to: str | None = None
    only_to: str | None = None


NOWHERE = MessageOrigin()


@dataclass(frozen=True, slots=True)
class TurnDraft:
    """A text that becomes a turn if it begins a revision; `dedup` identifies its message."""

    text: str
    actor: Actor
    dedup: str | None = None
    origin: MessageOrigin = NOWHERE

    def job_id(self, new_id: Callable[[str], str]) -> str:
        """The id of its read job; the same for the same message."""
        if self.dedup is None:
            return new_id("job")
        return f"job_{sha256(f'{self.actor.surface} {self.dedup}'.encode()).hexdigest()[:26]}"

    def to_json(self) -> dict[str, object]:
        """The draft as the payload of a job."""
        return {
            "text": self.text,
            "person": self.actor.person,
            "surface": self.actor.surface,
            "dedup": self.dedup,
            "place": self.origin.place.to_json() if self.origin.place else None,
            "reply_to": self.origin.reply_to,
            "only_to": self.origin.only_to,
            "scope": self.actor.scope.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TurnDraft:
        """The draft that `to_json` wrote."""
        stored = StoredObject(value, "a reply")
        place = Place.from_json(stored["place"]) if stored.get("place") else None
        origin = MessageOrigin(place, stored.get("reply_to"), stored.get("only_to"))
        scope = RepositoryScope.from_json(stored.get("scope"))
        actor = Actor(stored["person"], stored["surface"], scope=scope)
        return cls(stored["text"], actor, stored.get("dedup"), origin)


@dataclass(frozen=True, slots=True)
class Turn:
    """What a person wrote, on which surface, and which revision it began.

    `text` is data: it has no effect except through the intent that is read from it.
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
    """A question that a task waits on: asked once, with the answers that are understood.

    `budget` are the facts of a question for a larger budget, which people answer with ``extend``.
    """

    about: str
    text: str
    options: tuple[str, ...] = ()
    budget: BudgetQuestion | None = None

    def to_json(self) -> dict[str, object]:
        """The question as stored and shown."""
        budget = {"budget": self.budget.to_json()} if self.budget else {}
        return {"about": self.about, "text": self.text, "options": list(self.options), **budget}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Question:
        """The question that `to_json` wrote."""
        stored = StoredObject(value, "a question")
        budget = BudgetQuestion.from_json(value["budget"]) if value.get("budget") else None
        return cls(stored["about"], stored["text"], tuple(stored["options"]), budget)
