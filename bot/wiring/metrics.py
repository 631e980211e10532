"""The metrics of a served home: the route and the file, while the configuration asks for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from bot.metrics.file import NAME, MetricsFile
from bot.metrics.route import metrics_routes as routes_of

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from bot.metrics.settings import MetricsSettings
    from bot.wiring.app import App
    from core.model.metric import MetricSample


def metrics_routes(app: App) -> list[BaseRoute]:
    """The route, if the section ``metrics:`` is there when serving begins; it follows later changes of it."""
    return routes_of(_settings(app), _reader(app)) if app.config.metrics() is not None else []


def metrics_loops(app: App) -> dict[str, Callable[[], Awaitable[None]]]:
    """The loop that writes the file, if the section ``metrics:`` is there when serving begins."""
    if app.config.metrics() is None:
        return {}
    return {"metrics": MetricsFile(app.home.state / NAME, _settings(app), _reader(app)).run}


def _settings(app: App) -> Callable[[], MetricsSettings | None]:
    """Reads the settings in force each time."""

    def read() -> MetricsSettings | None:
        return app.config.metrics()

    return read


def _reader(app: App) -> Callable[[], Awaitable[Sequence[MetricSample]]]:
    async def read() -> Sequence[MetricSample]:
        return await app.metrics.samples(app.config.endpoints)

    return read
