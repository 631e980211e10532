"""Inbound deliveries: what a platform delivered, as it is stored until it is processed, and the recorded response."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from core.model.stored import StoredObject

_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class InboxDelivery:
    """One delivery of a platform: `dedup` is the platform's id of it, `kind` says what `body` is.

    It is processed `wait_ms` after its arrival, or later. `edits` and `rest_of` name an earlier delivery by its
    `dedup`: the one of which this is a new version, or the one whose text continues in this one.
    """

    surface: str
    dedup: str
    kind: str
    body: dict[str, Any]
    wait_ms: int = 0

    @property
    def text(self) -> str:
        """The text of the message."""
        return str(self.body.get("text", ""))

    @property
    def edits(self) -> str:
        """The delivery of which this is a later version; empty for a new message."""
        return str(self.body.get("edits", ""))

    @property
    def rest_of(self) -> str:
        """The delivery whose text continues in this one; empty if none does."""
        return str(self.body.get("rest_of", ""))


@dataclass(frozen=True, slots=True)
class InboxEntry:
    """A leased delivery: `attempt` counts how often its processing began, `fence` names the lease."""

    id: int
    delivery: InboxDelivery
    attempt: int
    received_ms: int
    fence: int = 0


@dataclass(frozen=True, slots=True)
class RecordedResponse:
    """The response to a delivery, as it is recorded with it.

    `form` names the text that a button still needs, `about` is the task that the response concerns, and `choices` are
    (label, command line) of the buttons below it. A `personal` response concerns no one but the sender.
    """

    text: str = ""
    refused: bool = False
    form: str = ""
    personal: bool = False
    about: int | None = None
    choices: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The response in its stored form."""
        return {
            "v": _VERSION,
            "text": self.text,
            "refused": self.refused,
            "form": self.form,
            "personal": self.personal,
            "about": self.about,
            "choices": [list(choice) for choice in self.choices],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> RecordedResponse:
        """The response that `to_json` wrote, now or in a version that stored no version; every key has a default."""
        stored = StoredObject(value, "the response to a message", newest=_VERSION)
        return cls(
            text=stored.get("text", ""),
            refused=stored.get("refused", False),
            form=stored.get("form", ""),
            personal=stored.get("personal", False),
            about=stored.get("about"),
            choices=tuple((label, line) for label, line in stored.get("choices", ())),
        )
