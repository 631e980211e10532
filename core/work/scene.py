"""The scene of a request: what an interpreter may know of the repository, and the lanes that policy offers there."""

from __future__ import annotations

from collections.abc import Sequence

from core.decision import Petition
from core.errors import Kind, Problem
from core.job import Job
from core.lane import Lane
from core.ports import Executor, Offer, Scene
from core.store import tasks, workers
from core.store.journal import JobJournal
from core.task import Task
from core.work.workshop import Workshop


async def scene_of(shop: Workshop, job: Job, task: Task) -> Scene:
    """Where the task's text is read. Its files are looked up only if somebody asks for them."""
    settings = shop.settings()
    petition = Petition(
        person=task.current.author,
        surface=task.surface,
        repository=task.repo or "",
        paths=(),
        lane=task.asked_lane,
        deterministic=False,
    )
    names = settings.policy.open_lanes(petition) if task.repo else ()
    offers = [await _offer(shop, settings.lanes[name]) for name in names]

    listed: list[Sequence[str]] = []

    async def files() -> Sequence[str]:
        if not listed:
            listed.append(await _files(shop, task))
        return listed[0]

    return Scene(task.repo, tuple(offers), files, JobJournal(shop.database, job, "interpret"))


async def _files(shop: Workshop, task: Task) -> Sequence[str]:
    """The files that a request speaks of: the branch's, and what the revision that it goes on from made of them."""
    if task.repo is None:
        return ()
    repository = shop.repository(task.repo)
    found = set(await repository.paths(await repository.fetch_base()))
    source = task.current.basis.continue_from
    if source is not None:
        earlier = await shop.database.read(lambda session: tasks.revision_of(session, task.number, source))
        for file in earlier.staged.files if earlier is not None and earlier.staged is not None else ():
            (found.discard if file["status"] == "D" else found.add)(str(file["path"]))
    return sorted(found)


async def _offer(shop: Workshop, lane: Lane) -> Offer:
    executor = shop.executors.get(lane.executor)
    reads = executor is not None and executor.reads and await _can_run(shop, lane)
    return Offer(lane.name, lane.describe, lane.write, reads)


async def _can_run(shop: Workshop, lane: Lane) -> bool:
    executor = shop.executors[lane.executor]
    problem = executor.unavailable(lane)
    return problem is None or await helped_elsewhere(shop, executor, lane, problem)


async def helped_elsewhere(shop: Workshop, executor: Executor, lane: Lane, problem: Problem) -> bool:
    """Whether another living worker has what this host lacks; what is configured wrongly is so for all of them."""
    if problem.kind is not Kind.UNAVAILABLE:
        return False
    living = await shop.database.read(workers.alive)
    return any(executor.needs(lane) <= worker.offers for worker in living)
