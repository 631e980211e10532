"""The watch that evaluates objectives and alerts operators, with what it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.alerts.objectives_file import objectives_of
from bot.alerts.watch import EVERY_S, AlertWatch
from bot.messaging.channel_scopes import announcement_places
from core.model.ids import new_id
from core.queue.duty_lease import DutyLease
from core.store import leaders

if TYPE_CHECKING:
    from bot.wiring.app import App


def alert_watch(app: App) -> AlertWatch:
    """A watch that alerts operators in the chats in which outages are announced."""
    return AlertWatch(
        DutyLease(app.database, app.settings, leaders.ALERTS, new_id("watch"), 2 * EVERY_S),
        app.alerts,
        app.objective_evaluation,
        objectives_of(app.home.root),
        lambda: app.config.endpoints,
        lambda: announcement_places(app.config.surfaces()),
    )
