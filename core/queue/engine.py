"""The engine: runs a claimed job's steps durably (DBOS), so that finished steps are not run again.

DBOS is embedded. Its state is a separate SQLite file, or the schema ``dbos`` of the shared PostgreSQL.
Countersign's own rows are authoritative, so losing the engine's state only repeats steps: docs/decisions/0043 says
which fact is stored where.

Every claim has a separate run, named by the claim's fence, which begins with the outputs of the steps that earlier
claims finished. A worker that was wrongly declared dead writes into a run that is no longer read, so it cannot affect
the next claimant.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SetWorkflowID

from core.jobs.job_context import StepOutput
from core.log import log
from core.model.job import Job
from core.store.database import Location, is_damaged, set_aside
from core.store.engines import driver_url, durable_engine

APPLICATION_VERSION = "1"
"""Pinned, because DBOS does not continue runs of another version."""

RunStep = Callable[[Job, str, StepOutput], Awaitable[StepOutput]]
"""Runs one named step of a job with the outputs of the steps before it; returns the step's own output."""

STOP_WITHIN_S = 5.0
"""How long `stop` waits for cancelled runs to end."""

LOST: StepOutput = {"lost": True, "over": True}
"""The output of a step whose job another worker has claimed."""


class Engine(Protocol):
    """Durable execution of a job's steps."""

    async def start(self) -> None:
        """Prepare for `run`."""

    async def run(self, job: Job, steps: tuple[str, ...], run_step: RunStep) -> StepOutput:
        """Run the steps of a claimed job, except those that earlier claimants of this attempt finished.

        Returns the outputs of all steps, merged in order.
        """

    async def stop(self) -> None:
        """Release everything."""


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A job that this worker claimed; `done` are the outputs of the steps that earlier claimants finished."""

    job: Job
    steps: tuple[str, ...]
    run_step: RunStep
    done: dict[str, StepOutput] = field(default_factory=dict)

    async def run(self, name: str, outputs: StepOutput) -> StepOutput:
        """Run one step."""
        return await self.run_step(self.job, name, outputs)


class DbosEngine:
    """`Engine` on DBOS. Only one may exist in a process, because DBOS has one instance."""

    def __init__(self, location: Location, worker: str) -> None:
        self._location = location
        self._worker = worker
        self._claimed: dict[str, _Claimed] = {}
        self._workflow: Callable[[str], Coroutine[Any, Any, StepOutput]] | None = None
        self._runs: set[asyncio.Task[Any]] = set()
        self._connections: Any = None

    async def start(self) -> None:
        """Launch DBOS on the running loop, so that every workflow runs there."""
        logging.getLogger("dbos").setLevel(logging.CRITICAL)  # faults reach people as problems, not as log lines
        if self._file is None:
            # in a thread: it builds indexes CONCURRENTLY, which waits for the open transactions of this loop too
            await asyncio.to_thread(DBOS.migrate, driver_url(self._location))
        try:
            self._launch()
        except Exception as error:
            if self._file is None or not is_damaged(error):
                raise
            DBOS.destroy(destroy_registry=True)
            log.warning("engine_state_damaged", set_aside=str(set_aside(self._file)))
            self._launch()

    async def run(self, job: Job, steps: tuple[str, ...], run_step: RunStep) -> StepOutput:
        """Run the steps of this attempt that no earlier claimant finished."""
        run_id = _run_of(job)
        claimed = self._claimed[run_id] = _Claimed(job, steps, run_step)
        try:
            if job.fence > 1:
                claimed.done.update(await self._finished_before(job))
            assert self._workflow is not None
            with SetWorkflowID(run_id):
                handle = await DBOS.start_workflow_async(self._workflow, run_id)
            outputs: StepOutput = await handle.get_result()
        except Exception as error:  # noqa: BLE001 (a fault of DBOS or its state; those of steps are outputs)
            if run_id not in self._claimed:
                return LOST
            log.warning("engine_failed", job=job.id, problem=f"{type(error).__name__}: {error}"[:500])
            return await _walk(claimed, claimed.run)  # every step adopts its own earlier effect
        else:
            return outputs
        finally:
            self._claimed.pop(run_id, None)

    async def stop(self) -> None:
        """Shut DBOS down; the next claimant continues what was running."""
        if self._runs:
            await asyncio.wait(self._runs, timeout=STOP_WITHIN_S)
        await asyncio.to_thread(DBOS.destroy, destroy_registry=True)
        if self._connections is not None:
            self._connections.dispose()  # DBOS closes only what it opened itself
        # DBOS put its own thread pool under `asyncio.to_thread` and has just shut it down
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(thread_name_prefix="asyncio"))

    def _launch(self) -> None:
        DBOS(config=self._config())

        async def countersign_job(run_id: str) -> StepOutput:  # not a bound method, because DBOS marks the function
            task = asyncio.current_task()
            assert task is not None
            self._runs.add(task)
            task.add_done_callback(self._runs.discard)
            claimed = self._claimed.get(run_id)
            if claimed is None:
                return LOST

            async def run_durably(name: str, outputs: StepOutput) -> StepOutput:
                if run_id not in self._claimed:
                    return LOST
                return await DBOS.run_step_async({"name": name}, claimed.run, name, outputs)

            return await _walk(claimed, run_durably)

        self._workflow = DBOS.workflow(name="countersign_job")(countersign_job)
        DBOS.listen_queues([])
        DBOS.launch()  # not in a thread: DBOS adopts the loop it is launched on

    async def _finished_before(self, job: Job) -> dict[str, StepOutput]:
        """The outputs of the steps that earlier claimants of this attempt finished, by name."""
        prefix = f"{job.run_id}."
        runs = await DBOS.list_workflows_async(workflow_id_prefix=prefix, load_input=False, load_output=False)
        done: dict[str, StepOutput] = {}
        for run in runs:
            for step in await DBOS.list_workflow_steps_async(run.workflow_id):
                output = step["output"]
                if output is not None and not output.get("lost"):
                    done.setdefault(step["function_name"], output)
        return done

    @property
    def _file(self) -> Path | None:
        return self._location.file.with_name("engine.sqlite") if self._location.file else None

    def _config(self) -> DBOSConfig:
        config: DBOSConfig = {
            "name": "countersign",
            "application_version": APPLICATION_VERSION,
            "executor_id": self._worker,
            "log_level": "CRITICAL",
            "use_listen_notify": False,
            "notification_listener_polling_interval_sec": 0.05,  # no notifications are sent; a stop waits for one round
            "serializer": DBOSPortableJSONSerializer(),  # the default is pickle
        }
        if self._file is not None:
            config["system_database_url"] = f"sqlite:///{self._file}"
            self._connections = config["system_database_engine"] = durable_engine(self._file)
        else:
            config["system_database_url"] = driver_url(self._location)
            config["run_migrations"] = False  # `start` did, off the loop
        return config


def _run_of(job: Job) -> str:
    return f"{job.run_id}.{job.fence}"


async def _walk(claimed: _Claimed, run: Callable[[str, StepOutput], Awaitable[StepOutput]]) -> StepOutput:
    """Run the steps in order, each with the outputs of earlier ones, until one returns ``over`` or ``fault``."""
    outputs: StepOutput = {}
    for name in claimed.steps:
        outputs.update(claimed.done[name] if name in claimed.done else await run(name, dict(outputs)))
        if outputs.get("over") or outputs.get("fault"):
            break
    return outputs
