"""A request that is kept for later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRequest:
    """A request that is made later, by `person` from `surface`."""

    text: str
    person: str
    surface: str
    repo: str | None
    lane: str | None
    parameters: Mapping[str, str]
