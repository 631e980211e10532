"""The doctor's rows about the inventory: endpoints that hang or are drained, models too large, GPUs that fail."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from bot.cards.inventory import gib
from bot.operations.doctor_rows import DoctorRow, row, warning_row
from core.model.inventory import ServerState
from core.services.inventory import EndpointStatus
from lanes.models import ModelName

if TYPE_CHECKING:
    from bot.wiring.app import App


async def inventory_checks(app: App) -> list[DoctorRow]:
    """A row for each thing that is wrong; what is well has its row among the models'."""
    if not await app.inventory.is_watched():
        from bot.wiring.inventory import look_now

        await look_now(app)
    statuses = {status.snapshot.name: status for status in await app.inventory.endpoints()}
    named = {name for lane in app.settings().lanes.values() for name in lane.models}
    named |= {str(name) for name in app.config.models().interpreter}
    rows = [check for status in statuses.values() for check in work_rows(status)]
    rows += _too_large(statuses, sorted(named))
    rows += [
        warning_row(f"GPUs of {node.name}", node.hardware.problem, "See the driver's log on that host.")
        for node in await app.inventory.nodes()
        if node.hardware is not None and node.hardware.problem and node.workers
    ]
    return rows


def work_rows(status: EndpointStatus) -> list[DoctorRow]:
    """Why an endpoint that answers is not given work, if it is not."""
    name = f"work at {status.snapshot.name}"
    rows = []
    if status.snapshot.state is ServerState.WEDGED:
        mend = "Restart the server, or unload the model; it gets work again when a test request passes."
        rows.append(row(name, "fail", status.snapshot.problem, mend))
    if status.drain is not None:
        by = f" by {status.drain.by}" if status.drain.by else ""
        reason = f": {status.drain.reason}" if status.drain.reason else ""
        mend = f"Let it work again with `countersign resume {status.snapshot.name}`."
        rows.append(warning_row(name, f"drained{by}{reason}", mend))
    return rows


def _too_large(statuses: Mapping[str, EndpointStatus], named: Iterable[str]) -> list[DoctorRow]:
    """A warning for each endpoint with models that lanes name and that do not fit into its memory."""
    problems: dict[str, list[str]] = {}
    for text in named:
        name = ModelName.parse(text)
        places = [status for status in statuses.values() if name.is_anywhere or status.snapshot.name == name.endpoint]
        models = [
            (status, model)
            for status in places
            for model in status.snapshot.models
            if model.name in (name.name, f"{name.name}:latest")
        ]
        if not all(status.is_too_large(model) for status, model in models):  # one endpoint that can serve it is enough
            continue
        for status, model in models:
            needed, capacity = gib(status.needed_bytes(model)), gib(status.snapshot.capacity_bytes)
            problems.setdefault(status.snapshot.name, []).append(f"{model.name} needs {needed} of {capacity}")
    mend = "Name a smaller model, or lower context_tokens; it would run partly on the CPU, or not at all."
    return [warning_row(f"memory of {endpoint}", "; ".join(lines), mend) for endpoint, lines in problems.items()]
