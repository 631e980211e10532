"""Which approval between the steps of a workflow a staged part waits for; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bot.cards.safe import one_line

_NAMED: Final = 6


def awaited(document: Mapping[str, Any]) -> str:
    """The approval step, who may give it, where it stands in the lane and what it asks; empty for a whole."""
    making = document.get("making") or {}
    if not making.get("awaits"):
        return ""
    left = {name: None for row in document["staged"]["needs"] for name in row["of"] if name not in row["have"]}
    names = [*left] if len(left) <= _NAMED else [*[*left][:_NAMED], "others"]
    who = f" by {' or '.join(names)}" if names else ""
    step = f", step {making['step']} of {making['steps']}" if making.get("step") else ""
    asks = f": {one_line(making['asks'], 120)}" if making.get("asks") else ""
    return f"waits for {making['awaits']}{who}{step}{asks}"
