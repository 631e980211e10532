"""The engine: runs a claimed job's steps durably (DBOS), so that finished steps are not run again.

DBOS is embedded; its state is a SQLite file of its own beside ours, or the schema ``dbos`` of the shared
PostgreSQL. Our rows stay the truth, so losing that state costs repeated steps and nothing else.

Every claim has a run of its own, named by the claim's fence, which begins with the steps that the runs of
earlier claims finished. So a worker that was taken for dead writes into a run that nobody reads any more:
what it records can neither stop nor mislead its heir.
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

from core.log import log
from core.model.job import Job
from core.store.database import Location, driver_url, durable_engine, is_damaged, set_aside

APPLICATION_VERSION = "1"
"""Pinned: runs of another version are left alone by this one."""

StepOutput = dict[str, Any]
"""What a step leaves behind, as JSON."""

Run = Callable[[Job, str, StepOutput], Awaitable[StepOutput]]
"""Runs one named step of a job with the notes of the steps before it; returns the step's notes."""

STOP_WITHIN_S = 5.0
"""How long a stop waits for runs that were told to end."""

LOST: StepOutput = {"lost": True, "over": True}
"""The notes of a step whose job belongs to another claimant by now."""


class Engine(Protocol):
    """Durable execution in three verbs."""

    async def start(self) -> None:
        """Be ready to run."""

    async def run(self, job: Job, steps: tuple[str, ...], step: Run) -> StepOutput:
        """Run, or go on with, the steps of a job we hold the claim of; the notes of the last step it came to."""

    async def stop(self) -> None:
        """Let go of everything."""


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A job we hold the claim of; `done` are the notes of the steps that earlier claimants finished."""

    job: Job
    steps: tuple[str, ...]
    step: Run
    done: dict[str, StepOutput] = field(default_factory=dict)

    async def begin(self, name: str, notes: StepOutput) -> StepOutput:
        """Run one step."""
        return await self.step(self.job, name, notes)


class DbosEngine:
    """`Engine` on DBOS. One may live in a process (DBOS keeps one instance)."""

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
            # it builds indexes CONCURRENTLY, which waits for every open transaction: those of this very loop too
            await asyncio.to_thread(DBOS.migrate, driver_url(self._location))
        try:
            self._launch()
        except Exception as error:
            if self._file is None or not is_damaged(error):
                raise
            DBOS.destroy(destroy_registry=True)
            log.warning("engine_state_damaged", set_aside=str(set_aside(self._file)))
            self._launch()

    async def run(self, job: Job, steps: tuple[str, ...], step: Run) -> StepOutput:
        """Run the steps of this attempt that no earlier claimant finished."""
        run_id = _run_of(job)
        claimed = self._claimed[run_id] = _Claimed(job, steps, step)
        try:
            if job.fence > 1:
                claimed.done.update(await self._finished_before(job))
            assert self._workflow is not None
            with SetWorkflowID(run_id):
                handle = await DBOS.start_workflow_async(self._workflow, run_id)
            notes: StepOutput = await handle.get_result()
        except Exception as error:  # noqa: BLE001 (whatever DBOS or its state met; the faults of steps are notes)
            if run_id not in self._claimed:
                return LOST
            log.warning("engine_failed", job=job.id, problem=f"{type(error).__name__}: {error}"[:500])
            return await _walk(claimed, claimed.begin)  # every step adopts what it did before
        else:
            return notes
        finally:
            self._claimed.pop(run_id, None)

    async def stop(self) -> None:
        """Shut DBOS down; what was running is gone on with by whoever claims it next."""
        if self._runs:
            await asyncio.wait(self._runs, timeout=STOP_WITHIN_S)
        await asyncio.to_thread(DBOS.destroy, destroy_registry=True)
        if self._connections is not None:
            self._connections.dispose()  # DBOS closes only what it opened itself
        # DBOS put its own thread pool under `asyncio.to_thread` and has just shut it down
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(thread_name_prefix="asyncio"))

    def _launch(self) -> None:
        DBOS(config=self._config())

        async def countersign_job(run_id: str) -> StepOutput:  # DBOS marks the function, so no bound method
            here = asyncio.current_task()
            assert here is not None
            self._runs.add(here)
            here.add_done_callback(self._runs.discard)
            claimed = self._claimed.get(run_id)
            if claimed is None:
                return LOST

            async def remembered(name: str, notes: StepOutput) -> StepOutput:
                if run_id not in self._claimed:
                    return LOST
                return await DBOS.run_step_async({"name": name}, claimed.begin, name, notes)

            return await _walk(claimed, remembered)

        self._workflow = DBOS.workflow(name="countersign_job")(countersign_job)
        DBOS.listen_queues([])
        DBOS.launch()  # not in a thread: DBOS adopts the loop it is launched on

    async def _finished_before(self, job: Job) -> dict[str, StepOutput]:
        """The notes of every step that earlier claimants of this attempt finished, by name."""
        prefix = f"{job.run_id}."
        runs = await DBOS.list_workflows_async(workflow_id_prefix=prefix, load_input=False, load_output=False)
        done: dict[str, StepOutput] = {}
        for run in runs:
            for step in await DBOS.list_workflow_steps_async(run.workflow_id):
                made = step["output"]
                if made is not None and not made.get("lost"):
                    done.setdefault(step["function_name"], made)
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
            "notification_listener_polling_interval_sec": 0.05,  # we send none; stopping waits for one round of it
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


async def _walk(claimed: _Claimed, step: Callable[[str, StepOutput], Awaitable[StepOutput]]) -> StepOutput:
    """The steps in order, each with the notes of those before it, until one says that nothing is left to do."""
    notes: StepOutput = {}
    for name in claimed.steps:
        notes.update(claimed.done[name] if name in claimed.done else await step(name, dict(notes)))
        if notes.get("over") or notes.get("fault"):
            break
    return notes
