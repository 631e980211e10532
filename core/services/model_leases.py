"""Model leases in the database: asking for one, renewing and ending it, and granting those that wait."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from core.model.endpoint_snapshot import EndpointSnapshot
from core.model.errors import ConflictError
from core.model.model_lease import ANY_ENDPOINT, ModelLease, ModelPlace, ModelWork, split_model
from core.store import inventory, jobs, leaders, model_leases
from core.store.unit_of_work import RunsTransactions, Tx, reads, writes

LEASE_MS: Final = 15_000
"""How long a lease lasts without being renewed, in milliseconds of the database's clock."""
HELD_MS: Final = 30_000
KEPT_MS: Final = 30 * 24 * 3600 * 1000
"""How long leases that ended are kept: the expected work is learned from them."""
_REMEMBERED: Final = 2_000


@dataclass(frozen=True, slots=True)
class AliveLeases:
    """The leases that are alive at `now_s`, in seconds since the epoch; `expired` ones were not renewed in time."""

    now_s: float
    leases: tuple[ModelLease, ...]
    expired: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelLeaseBook:
    """The leases of all processes; `held_ms` is how long a model stays loaded for an agent between two turns."""

    database: RunsTransactions
    held_ms: int = HELD_MS

    @writes
    async def request(self, tx: Tx, model: str, work: ModelWork, *, is_reservation: bool = False) -> str | None:
        """Ask for a model; the id of the lease, or None when nothing has to be waited for.

        A lease is only needed while some worker grants leases, for a model that a scheduled endpoint listed when it was
        looked at last. Any other is asked for directly, and its endpoint answers for it.
        """
        granter, _ = await leaders.lease_of(tx, leaders.LEASES)
        if granter is None or not any(_lists(each, model) for each in await _snapshots(tx, model)):
            return None
        if work.job is not None:
            await model_leases.end_held(tx, [work.job], model, work.part)
        person, lane = await jobs.asked_by(tx, work.job) if work.job is not None else (None, None)
        return await model_leases.add(
            tx,
            model,
            work,
            key=person or "",
            kind=(lane or "", model),
            until_ms=tx.now_ms + LEASE_MS,
            is_reservation=is_reservation,
        )

    @reads
    async def leases(self, tx: Tx, ids: Collection[str]) -> dict[str, ModelLease]:
        """These leases, however far each is."""
        return await model_leases.of_ids(tx, ids)

    @writes
    async def renew(self, tx: Tx, ids: Collection[str]) -> None:
        """Let leases that are waited for or granted last on."""
        await model_leases.renew(tx, ids, tx.now_ms + LEASE_MS)

    @writes
    async def end(self, tx: Tx, lease: str, work: ModelWork) -> None:
        """A turn ended; for an agent's job the model stays loaded until its next turn, at most `held_ms`.

        A job that was cancelled or paused meanwhile has no next turn.
        """
        if work.job is not None and work.is_agent and not await jobs.has_stopped(tx, work.job):
            await model_leases.hold(tx, lease, tx.now_ms + self.held_ms)
        else:
            await model_leases.end(tx, [lease])

    @writes
    async def withdraw(self, tx: Tx, lease: str) -> None:
        """End a lease at once: it is not wanted any more."""
        await model_leases.end(tx, [lease])

    @reads
    async def alive(self, tx: Tx) -> AliveLeases:
        """The leases that are alive now, by the database's clock."""
        leases = await model_leases.alive(tx)
        renewed = tuple(lease for lease in leases if lease.until_at >= tx.now)
        return AliveLeases(tx.now_ms / 1000, renewed, tuple(lease.id for lease in leases if lease.until_at < tx.now))

    @writes
    async def record(
        self,
        tx: Tx,
        *,
        granter: str,
        granted: Mapping[str, float],
        places: Mapping[str, ModelPlace],
        refused: Mapping[str, str],
        reasons: Mapping[str, str],
        expired: Collection[str],
    ) -> None:
        """Record decisions: grants with the promised start in seconds since the epoch and the place, reasons of others.

        Raises `ConflictError` when the worker `granter` does not have the duty any more: another one decides.
        """
        if (await leaders.lease_of(tx, leaders.LEASES))[0] != granter:
            raise ConflictError("not_granter", "another worker grants model leases now", "")
        due_ms = {lease: round(due_s * 1000) for lease, due_s in granted.items()}
        await model_leases.grant(tx, due_ms, places, tx.now_ms + LEASE_MS)
        await model_leases.refuse(tx, refused)
        await model_leases.explain(tx, reasons)
        await model_leases.end(tx, expired)

    @writes
    async def prune(self, tx: Tx) -> None:
        """Delete leases that ended more than `KEPT_MS` ago."""
        await model_leases.prune(tx, tx.now_ms - KEPT_MS)

    @reads
    async def history(self, tx: Tx) -> list[tuple[tuple[str, ...], float]]:
        """What recent work took: its kind and seconds, oldest first."""
        return await model_leases.recent(tx, _REMEMBERED)


async def _snapshots(tx: Tx, model: str) -> list[EndpointSnapshot]:
    """What is known of the endpoints that may serve a model."""
    endpoint, _ = split_model(model)
    if endpoint == ANY_ENDPOINT:
        rows = await inventory.endpoints(tx)
        return [row.snapshot for row in rows.values() if row.snapshot is not None]
    snapshot = await inventory.snapshot_of(tx, endpoint)
    return [snapshot] if snapshot is not None else []


def _lists(snapshot: EndpointSnapshot, model: str) -> bool:
    """Whether a scheduled endpoint has a model of this name."""
    _, name = split_model(model)
    return snapshot.is_scheduled and bool({name, f"{name}:latest"} & {each.name for each in snapshot.models})
