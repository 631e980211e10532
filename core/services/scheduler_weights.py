"""The weights of the live scheduler: trying others in the shadow of today's, adopting them, and going back.

All of it is one row of settings, so that every worker sees the same; each change is an event of the audit trail.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Literal

from core.model.errors import ConflictError
from core.model.turn import Actor
from core.rules.authorization import Authorization
from core.scheduler import wait_figures
from core.scheduler.wait_figures import ByClass
from core.scheduler.weights import Weights
from core.settings import SettingsSource
from core.store import events, lease_waits, switches
from core.store.unit_of_work import RunsTransactions, Tx, reads, writes

_ROW: Final = "scheduler_weights"
_VERSION: Final = 1
BEFORE_MS: Final = 7 * 24 * 3600 * 1000
"""The waits before an adoption are those of this time, in milliseconds."""
WATCHED_MS: Final = 24 * 3600 * 1000
"""How long after an adoption the waits are watched."""


@dataclass(frozen=True, slots=True)
class ShadowFigures:
    """What today's weights and the candidate came to on the same events, both in the shadow; loads are counted."""

    today: ByClass = field(default_factory=lambda: wait_figures.from_json({}))
    candidate: ByClass = field(default_factory=lambda: wait_figures.from_json({}))
    today_loads: int = 0
    candidate_loads: int = 0
    decisions: tuple[Mapping[str, Any], ...] = ()
    """The newest grants that the candidate would have made."""

    @property
    def is_better(self) -> bool:
        """Whether the candidate waits less, and makes nothing worse by more than the margins."""
        return wait_figures.is_better(self.today, self.candidate)

    def to_json(self) -> dict[str, Any]:
        """The figures by names."""
        return {
            "today": wait_figures.to_json(self.today),
            "candidate": wait_figures.to_json(self.candidate),
            "today_loads": self.today_loads,
            "candidate_loads": self.candidate_loads,
            "decisions": [dict(each) for each in self.decisions],
            "is_enough": wait_figures.is_enough(self.today, self.candidate),
            "is_better": self.is_better,
            "problems": list(wait_figures.problems(self.today, self.candidate)),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ShadowFigures:
        """Read what `to_json` wrote."""
        return cls(
            wait_figures.from_json(value.get("today", {})),
            wait_figures.from_json(value.get("candidate", {})),
            int(value.get("today_loads", 0)),
            int(value.get("candidate_loads", 0)),
            tuple(value.get("decisions", ())),
        )


@dataclass(frozen=True, slots=True)
class WeightsState:
    """The weights that the queue uses, those before them, and the candidate in the shadow with its figures.

    `version` counts changes of the first. `before` are the waits before the last adoption, while that is watched;
    `reverted` says why the last adoption was taken back by itself.
    """

    current: Weights = field(default_factory=Weights)
    previous: Weights | None = None
    candidate: Weights | None = None
    shadow: ShadowFigures = field(default_factory=ShadowFigures)
    version: int = 0
    adopted_ms: int | None = None
    before: ByClass | None = None
    reverted: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The state as it is stored and as ``weights show --json`` prints it."""
        return {
            "v": _VERSION,
            "current": asdict(self.current),
            "previous": asdict(self.previous) if self.previous else None,
            "candidate": asdict(self.candidate) if self.candidate else None,
            "shadow": self.shadow.to_json() if self.candidate else None,
            "version": self.version,
            "adopted_ms": self.adopted_ms,
            "before": wait_figures.to_json(self.before) if self.before is not None else None,
            "reverted": list(self.reverted),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | None) -> WeightsState:
        """Read what `to_json` wrote; the usual weights where nothing was."""
        if not value:
            return cls()
        return cls(
            current=_weights(value.get("current")) or Weights(),
            previous=_weights(value.get("previous")),
            candidate=_weights(value.get("candidate")),
            shadow=ShadowFigures.from_json(value.get("shadow") or {}),
            version=int(value.get("version", 0)),
            adopted_ms=value.get("adopted_ms"),
            before=None if value.get("before") is None else wait_figures.from_json(value["before"]),
            reverted=tuple(value.get("reverted", ())),
        )


@dataclass(frozen=True, slots=True)
class SchedulerWeights:
    """Reads and changes the weights of the live queue.

    Only maintainers and the local operator may change them; these methods raise `RefusedError` for others.
    """

    database: RunsTransactions
    settings: SettingsSource

    @reads
    async def state(self, tx: Tx) -> WeightsState:
        """What the queue uses and what is tried."""
        return await _state(tx)

    @writes
    async def try_out(self, tx: Tx, actor: Actor, weights: Weights) -> WeightsState:
        """Let these weights decide in the shadow, instead of a candidate before them.

        Raises `ConflictError` when the queue uses them already.
        """
        self._authorize(actor)
        state = await _state(tx)
        if weights == state.current:
            raise ConflictError("same_weights", "The queue uses these weights already", "Name a file with others.")
        state = replace(state, candidate=weights, shadow=ShadowFigures(), reverted=())
        await _write(tx, state, "weights.tried", actor, {"weights": asdict(weights)})
        return state

    @writes
    async def adopt(self, tx: Tx, actor: Actor, *, anyway: bool = False) -> WeightsState:
        """Let the queue use the candidate, and watch what it does to the waits.

        Raises `ConflictError` without a candidate, and for one that is not better unless `anyway`.
        """
        self._authorize(actor)
        state = await _state(tx)
        if state.candidate is None:
            raise ConflictError(
                "no_candidate", "No weights are being tried", "Try some with `countersign weights try FILE` first."
            )
        if not anyway and not state.shadow.is_better:
            message = f"The candidate is not known to be better: {_why_not(state.shadow)}"
            raise ConflictError("not_better", message, "Let it be tried longer, or add --anyway.")
        before = await lease_waits.between(tx, tx.now_ms - BEFORE_MS, tx.now_ms)
        adopted = WeightsState(state.candidate, state.current, None, version=state.version + 1, adopted_ms=tx.now_ms)
        adopted = replace(adopted, before=before)
        body = {"weights": asdict(adopted.current), "shadow": state.shadow.to_json(), "anyway": anyway}
        await _write(tx, adopted, "weights.adopted", actor, body)
        return adopted

    @writes
    async def revert(self, tx: Tx, actor: Actor) -> WeightsState:
        """Stop trying the candidate if there is one, else use the weights before the last adoption again.

        Raises `ConflictError` when there is neither.
        """
        self._authorize(actor)
        state = await _state(tx)
        if state.candidate is not None:
            state = replace(state, candidate=None, shadow=ShadowFigures())
            await _write(tx, state, "weights.withdrawn", actor, {})
        elif state.previous is not None:
            state = WeightsState(state.previous, version=state.version + 1)
            await _write(tx, state, "weights.reverted", actor, {"weights": asdict(state.current), "reasons": []})
        else:
            raise ConflictError("nothing_to_revert", "The queue uses its usual weights, and none are tried", "")
        return state

    @writes
    async def record_shadow(self, tx: Tx, version: int, candidate: Weights, figures: ShadowFigures) -> None:
        """Store what the shadow came to, unless the weights were changed meanwhile."""
        state = await _state(tx)
        if state.version == version and state.candidate == candidate:
            await switches.set_value(tx, _ROW, replace(state, shadow=figures).to_json())

    @writes
    async def watch(self, tx: Tx) -> WeightsState:
        """Go back to the weights before the last adoption if people wait longer since; returns what is used now."""
        state = await _state(tx)
        adopted_ms = state.adopted_ms
        if state.before is None or state.previous is None or adopted_ms is None:
            return state
        since = await lease_waits.between(tx, adopted_ms, tx.now_ms)
        reasons = wait_figures.problems(state.before, since) if wait_figures.is_enough(state.before, since) else ()
        if reasons:
            body = {"weights": asdict(state.previous), "reasons": list(reasons)}
            state = WeightsState(state.previous, candidate=state.candidate, version=state.version + 1, reverted=reasons)
            await _write(tx, state, "weights.reverted", None, body)
        elif tx.now_ms - adopted_ms > WATCHED_MS:
            state = replace(state, before=None)
            await switches.set_value(tx, _ROW, state.to_json())
        return state

    def _authorize(self, actor: Actor) -> None:
        Authorization(self.settings).may_pause_queue(actor, "change the weights of")


def _why_not(shadow: ShadowFigures) -> str:
    problems = wait_figures.problems(shadow.today, shadow.candidate)
    if problems:
        return "; ".join(problems)
    number = sum(each.count for each in shadow.candidate.values())
    if not wait_figures.is_enough(shadow.today, shadow.candidate):
        return f"{number} requests were scheduled in its shadow, and {wait_figures.LEAST} are needed"
    return "requests wait as long with it as with the weights of today"


def _weights(value: Mapping[str, Any] | None) -> Weights | None:
    return Weights.from_json(dict(value)) if value else None


async def _state(tx: Tx) -> WeightsState:
    return WeightsState.from_json(await switches.value_of(tx, _ROW))


async def _write(
    tx: Tx,
    state: WeightsState,
    kind: Literal["weights.tried", "weights.adopted", "weights.reverted", "weights.withdrawn"],
    actor: Actor | None,
    body: dict[str, Any],
) -> None:
    await switches.set_value(tx, _ROW, state.to_json())
    person = actor.person if actor is not None else None
    await events.append(tx, number=events.SYSTEM, kind=kind, person=person, body=body)
