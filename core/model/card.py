"""Cards and buttons: where a task is shown, and what each opaque button id stands for."""

from __future__ import annotations

from dataclasses import dataclass

from core.model.place import Place


@dataclass(frozen=True, slots=True)
class DeliveredCard:
    """A card of task `number` in `place`.

    `revision` is the one that it shows (0: not posted yet), `delivered` the digest whose whole diff was shown or
    attached there; `version` counts the changes that it must show. `former` is the message that showed it before it was
    posted again and must be edited to say so. `attempt` counts the deliveries begun since the last success, and `fence`
    names the lease under which it was read.
    """

    id: int
    number: int
    place: Place
    reply_to: str | None
    message_id: str | None
    revision: int
    delivered: str | None
    attempt: int
    version: int
    former: str | None = None
    fence: int = 0


@dataclass(frozen=True, slots=True)
class Button:
    """A button of a card: `kind` is an action, `value` the digest or the answer that it applies to."""

    id: str
    card_id: int
    number: int
    revision: int
    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A button below a question: the command `line` that it stands for, for `identity` alone, in one `channel`.

    `dedup` is that of the message that led to the question, so that only one of its buttons has an effect.
    """

    id: str
    surface: str
    channel: str
    identity: str
    line: str
    dedup: str
