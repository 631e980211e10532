"""The loads of models: those that are under way, as the granter of leases sees them, and the history of all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, update
from sqlmodel import col, select

from core.store import switches
from core.store.forecast_tables import ModelLoadRow
from core.store.unit_of_work import Tx

_LOADING: Final = "models.loading"
KEPT_MS: Final = 90 * 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class ModelLoad:
    """One load of a model; `seconds` is None for one that another program asked for."""

    endpoint: str
    model: str
    at_ms: int
    seconds: float | None


async def loading(tx: Tx) -> dict[str, str]:
    """The model that each endpoint is loading, as it was recorded last."""
    value = await switches.value_of(tx, _LOADING)
    return {str(endpoint): str(model) for endpoint, model in (value or {}).items()}


async def set_loading(tx: Tx, models: Mapping[str, str]) -> None:
    """Record the model that each endpoint is loading."""
    await switches.set_value(tx, _LOADING, dict(models))


async def add(tx: Tx, endpoint: str, model: str, seconds: float | None) -> None:
    """Record a load that ended now; one that was seen before its end was reported is not counted twice."""
    if seconds is not None and await _completed(tx, endpoint, model, seconds):
        return
    row = ModelLoadRow(id=tx.new_id("load"), endpoint=endpoint, model=model, at_ms=tx.now_ms, seconds=seconds)
    tx.session.add(row)
    await tx.session.flush()


async def _completed(tx: Tx, endpoint: str, model: str, seconds: float) -> bool:
    """Add its duration to a load that was only seen; whether there is one."""
    result = await tx.session.execute(
        update(ModelLoadRow)
        .where(
            col(ModelLoadRow.endpoint) == endpoint,
            col(ModelLoadRow.model) == model,
            col(ModelLoadRow.seconds).is_(None),
            col(ModelLoadRow.at_ms) >= tx.now_ms - round(seconds * 1000),
        )
        .values(seconds=seconds)
        .execution_options(synchronize_session=False)
    )
    return int(getattr(result, "rowcount", 0)) > 0


async def was_recorded_since(tx: Tx, endpoint: str, model: str, since_ms: int) -> bool:
    """Whether a load of this model was recorded since then."""
    query = select(ModelLoadRow.id).where(
        col(ModelLoadRow.at_ms) >= since_ms, ModelLoadRow.endpoint == endpoint, ModelLoadRow.model == model
    )
    return (await tx.session.exec(query.limit(1))).first() is not None


async def since(tx: Tx, since_ms: int, limit: int) -> list[ModelLoad]:
    """The newest loads since then, at most `limit`."""
    query = select(ModelLoadRow).where(col(ModelLoadRow.at_ms) >= since_ms).order_by(col(ModelLoadRow.at_ms).desc())
    rows = await tx.session.exec(query.limit(limit))
    return [ModelLoad(row.endpoint, row.model, row.at_ms, row.seconds) for row in rows]


async def prune(tx: Tx) -> None:
    """Delete the loads of more than `KEPT_MS` ago."""
    await tx.session.execute(
        delete(ModelLoadRow)
        .where(col(ModelLoadRow.at_ms) < tx.now_ms - KEPT_MS)
        .execution_options(synchronize_session=False)
    )
