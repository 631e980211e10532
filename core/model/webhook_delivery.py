"""A webhook delivery: the message about one event that is owed to one receiver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DUE: Final = "due"
SENT: Final = "sent"
FAILED: Final = "failed"


@dataclass(frozen=True, slots=True)
class WebhookDelivery:
    """`body` for the receiver called `hook`; `attempt` counts the attempts, including this one.

    `fence` names the lease under which it was read.
    """

    id: str
    hook: str
    event_id: int
    body: str
    attempt: int
    created_ms: int
    fence: int = 0
