"""Results by content: in a lane with `reuse: true`, work with the same inputs adopts the result of an earlier run.

Decision 0050 builds on the cache of steps (decision 0028): the same store, with the whole run as one entry.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from core.model.errors import CountersignError, Problem
from core.model.lane import Lane
from core.model.provenance import Provenance
from core.model.stored import StoredObject, StoredValueError
from core.ports.executor import Executor, ExecutorResult, WorkOrder, reads_in
from core.ports.repository import Repository
from core.store.artifacts import ArtifactFiles
from lanes.executors.artifacts import load_artifacts, store_artifacts
from lanes.models import Endpoint, ModelName
from lanes.workflow.cache import CachedStep, StepCache

_DOMAIN: Final = "countersign-run-v1"
"""Change this whenever an executor produces another result for the same inputs."""
_RUN: Final = "countersign-run.json"
"""The file of a cached run that says which task made it, how, and whose words it was shown."""
_VERSION: Final = 1


def run_key(order: WorkOrder, executor: Executor, endpoints: Mapping[str, Endpoint], repository: str) -> str:
    """The hash (64 hex digits) of all that the result of a run depends on: tree, lane by content, request, models."""
    lane, intent = order.lane, order.intent
    names = [ModelName.parse(name).endpoint for name in lane.models]
    inputs = {
        "domain": _DOMAIN,
        "repository": repository,
        "start": order.start,
        "executor": executor.name,
        "lane": {key: value for key, value in asdict(lane).items() if key not in ("source", "budget")},
        "edits": intent.to_json()["edits"],
        "said": [intent.text, *(turn.text for turn in order.turns)] if reads_in(executor, lane) else [],
        "parameters": dict(order.parameters),
        "endpoints": [_options(endpoints[name]) for name in names if name in endpoints],
    }
    text = json.dumps(inputs, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _options(endpoint: Endpoint) -> list[object]:
    """What an endpoint's configuration changes about an answer."""
    return [endpoint.name, endpoint.kind, endpoint.context_tokens]


@dataclass(frozen=True, slots=True)
class ReusingExecutor:
    """An executor that adopts the result of an earlier run with the same inputs, where the lane allows it.

    Only the first revision of a task adopts one: people who ask again want another result.
    """

    inner: Executor
    cache: StepCache
    files: ArtifactFiles
    endpoints: Mapping[str, Endpoint]

    @property
    def name(self) -> str:
        """The inner executor's name."""
        return self.inner.name

    @property
    def reads(self) -> bool:
        """True if the inner executor takes free text."""
        return self.inner.reads

    @property
    def deterministic(self) -> bool:
        """True if the inner executor makes known edits and nothing else."""
        return bool(getattr(self.inner, "deterministic", False))

    def unavailable(self, lane: Lane) -> Problem | None:
        """Why the lane cannot run on this node."""
        return self.inner.unavailable(lane)

    def needs(self, lane: Lane) -> frozenset[str]:
        """The capabilities that the lane needs."""
        return self.inner.needs(lane)

    def can_repair(self, lane: Lane) -> bool:
        """True if the inner executor, or a part of it that the lane uses, takes free text."""
        return reads_in(self.inner, lane)

    async def produce(self, order: WorkOrder, repository: Repository) -> ExecutorResult:
        """The result of an earlier run with the same inputs, else that of the inner executor, which is stored."""
        if not order.lane.reuse or order.intent.needs_git_alone:
            return await self.inner.produce(order, repository)
        key = run_key(order, self.inner, self.endpoints, repository.spec.id)
        if order.revision == 1 and (earlier := await self._find(key, repository)) is not None:
            await order.progress(f"takes the result of the run of #{earlier.provenance.run_of}")
            return earlier
        result = await self.inner.produce(order, repository)
        if result.tree != order.start:
            await self._store(key, order, result, repository)
        return result

    async def _find(self, key: str, repository: Repository) -> ExecutorResult | None:
        cached = await self.cache.find(key, repository)
        if cached is None or _RUN not in cached.files:
            return None
        artifacts, missing = await load_artifacts(self.files, cached.files)
        if missing:
            return None
        try:
            run = StoredObject(json.loads(artifacts.pop(_RUN)), "a run to reuse", newest=_VERSION)
            provenance = replace(Provenance.from_json(run["making"]), run_of=int(run["number"]))
            return ExecutorResult(cached.tree, artifacts, provenance, tuple(run["authors"]))
        except (ValueError, TypeError, StoredValueError, CountersignError):  # another version wrote it
            return None

    async def _store(self, key: str, order: WorkOrder, result: ExecutorResult, repository: Repository) -> None:
        run: dict[str, Any] = {
            "v": _VERSION,
            "number": order.number,
            "making": result.provenance.to_json(),
            "authors": list(order.authors),
        }
        files = await store_artifacts(self.files, {**result.artifacts, _RUN: json.dumps(run).encode()})
        await self.cache.store(key, order.start, CachedStep(result.tree, files), repository)
