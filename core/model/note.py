"""Notes: plain messages that are owed to a conversation."""

from __future__ import annotations

from dataclasses import dataclass

from core.model.place import Place


@dataclass(frozen=True, slots=True)
class Note:
    """A message for a place; `only_to` is the identity of the only person who may see it.

    `number` is the task that it is about, `choices` are buttons below it as (label, id), and `mentions` those in the
    text whom the platform must notify, as (name, identity). `attempt` counts the deliveries begun, including this one,
    and `fence` names the lease under which it was read.
    """

    id: int
    place: Place
    text: str
    reply_to: str | None
    only_to: str | None
    attempt: int
    number: int | None = None
    choices: tuple[tuple[str, str], ...] = ()
    mentions: tuple[tuple[str, str], ...] = ()
    fence: int = 0
