"""The rows of the objectives on the page of insights, as they were evaluated last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from bot.alerts.alert_text import budget_text, goal_words, measured, percent
from bot.cards.safe import one_line
from core.model.objective import Objective, Subject

_NOTHING: Final = "-"


@dataclass(frozen=True, slots=True)
class ObjectiveRow:
    """One objective as the page shows it."""

    name: str
    goal: str
    is_met: bool
    good: str
    asked: str
    events: int
    left: str
    burn: str


def objective_rows(stored: Mapping[str, Any] | None) -> list[ObjectiveRow]:
    """The rows, those that are missed first; none before the first evaluation."""
    rows = [_row(value) for value in (stored or {}).get("rows", ())]
    return sorted(rows, key=lambda row: (row.is_met, row.name))


def evaluated_at(stored: Mapping[str, Any] | None) -> datetime | None:
    """When the objectives were evaluated last."""
    return datetime.fromtimestamp(stored["at_ms"] / 1000, UTC) if stored else None


def _row(value: Mapping[str, Any]) -> ObjectiveRow:
    objective = Objective(
        one_line(value["name"], 80),
        Subject(value["subject"]),
        value["share"],
        value["window_s"],
        value["within_s"],
        frozenset(value.get("names", ())),
    )
    share = value["good_share"]
    return ObjectiveRow(
        objective.name,
        goal_words(objective),
        value["met"],
        measured(share) if share is not None else _NOTHING,
        percent(objective.share),
        value["events"],
        budget_text(value["burn_rate"]) if share is not None else _NOTHING,
        f"{value['last_hour_burn_rate']:.1f}",
    )
