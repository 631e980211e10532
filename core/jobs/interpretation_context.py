"""The scene of a request: what an interpreter may know of the repository, of the talk, and of the lanes on offer."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from core.jobs.job_context import JobContext
from core.jobs.usage import JobUsage, day_is_spent
from core.model.decision import PolicyRequest
from core.model.errors import Kind, Problem
from core.model.job import Job
from core.model.lane import Lane
from core.model.lifecycle import Fact
from core.model.task import Task
from core.model.turn import Question, Turn
from core.ports import Executor, InterpretationContext, LaneOffer
from core.store import events, tasks, workers
from core.store.journal import JobJournal
from core.store.unit_of_work import Tx

ASKER = "countersign itself"
"""Who says the questions in a talk; the space sets it apart from every person's name."""


async def scene_of(shop: JobContext, job: Job, task: Task) -> InterpretationContext:
    """Where the task's text is read. Its files are looked up only if somebody asks for them."""
    settings = shop.settings()
    petition = PolicyRequest(
        person=task.current.author,
        surface=task.surface,
        repository=task.repo or "",
        paths=(),
        lane=task.asked_lane,
        deterministic=False,
    )
    names = settings.policy.open_lanes(petition) if task.repo else ()
    lanes = [settings.lanes[name] for name in names]
    offers = [await _offer(shop, lane) for lane in lanes]
    talk = await talk_of(shop, task)

    listed: list[Sequence[str]] = []

    async def files() -> Sequence[str]:
        if not listed:
            listed.append(await _files(shop, task))
        return listed[0]

    base: list[str] = []

    async def read(path: str) -> bytes | None:
        repository = shop.repository(task.repo or "")
        if not base:
            base.append(await repository.fetch_base())
        return await repository.read_path(base[0], path)

    return InterpretationContext(
        task.repo,
        tuple(offers),
        files,
        JobJournal(shop.database, job, "interpret"),
        tuple(turn for turn in talk.turns if turn.person == ASKER),
        JobUsage(shop, job, task.asked_lane or "", task.current.author),
        await _spent(shop, lanes),
        read if task.repo else None,
    )


@dataclass(frozen=True, slots=True)
class Discussion:
    """Turns that are shown to whoever makes a change, in order. What is taken from it takes the authors with it."""

    turns: tuple[Turn, ...]

    @property
    def authors(self) -> frozenset[str]:
        """Everybody whose words are in it: they may not approve what is made of them (security.md 147)."""
        return frozenset(turn.person for turn in self.turns if turn.person != ASKER)

    def said_by_people(self, upto: int) -> Discussion:
        """What people said in turns up to `upto`."""
        return Discussion(tuple(turn for turn in self.turns if turn.n <= upto and turn.person != ASKER))

    def only(self, numbers: Collection[int]) -> Discussion:
        """What people said in the turns of these numbers."""
        return Discussion(tuple(turn for turn in self.turns if turn.n in numbers and turn.person != ASKER))


async def talk_of(shop: JobContext, task: Task) -> Discussion:
    """All that may be shown to whoever makes the current revision: what people said, and what `ASKER` asked them."""

    async def work(tx: Tx) -> tuple[tuple[Turn, ...], list[events.Event]]:
        return await tasks.turns_of(tx, task.number), await events.chain_of(tx, task.number)

    said, chain = await shop.database.read(work)
    asked = [_as_turn(event, said) for event in chain if event.kind == f"task.{Fact.UNCLEAR.value}"]
    talk = sorted([*said, *asked], key=lambda turn: (turn.n, turn.person == ASKER))
    return Discussion(tuple(turn for turn in talk if turn.n >= task.current.basis.since))


def _as_turn(event: events.Event, said: Sequence[Turn]) -> Turn:
    """The question of an event, after the last turn of the revision that it was about."""
    body = json.loads(event.body)
    question = Question.from_json(body["question"])
    options = f" (to press: {' | '.join(question.options)})" if question.options else ""
    after = max(turn.n for turn in said if turn.revision <= body["revision"])
    return Turn(after, ASKER, "", question.text + options, event.at, body["revision"])


async def _spent(shop: JobContext, lanes: Sequence[Lane]) -> str:
    """Why no model may read for these lanes: every one of them has spent its day."""
    over = [await day_is_spent(shop, lane) for lane in lanes]
    return "the lanes on offer have used what they may in 24 hours" if over and all(over) else ""


async def _files(shop: JobContext, task: Task) -> Sequence[str]:
    """The files that a request speaks of: the branch's, and what the revision that it goes on from made of them."""
    if task.repo is None:
        return ()
    repository = shop.repository(task.repo)
    found = set(await repository.paths(await repository.fetch_base()))
    source = task.current.basis.continue_from
    if source is not None:
        earlier = await shop.database.read(lambda tx: tasks.revision_of(tx, task.number, source))
        for file in earlier.staged.files if earlier is not None and earlier.staged is not None else ():
            (found.discard if file["status"] == "D" else found.add)(str(file["path"]))
    return sorted(found)


async def _offer(shop: JobContext, lane: Lane) -> LaneOffer:
    executor = shop.executors.get(lane.executor)
    reads = executor is not None and executor.reads and await can_run(shop, lane)
    return LaneOffer(lane.name, lane.describe, lane.write, reads)


async def can_run(shop: JobContext, lane: Lane) -> bool:
    """Whether this worker, or another living one, can work in the lane now."""
    executor = shop.executors.get(lane.executor)
    if executor is None:
        return False
    problem = executor.unavailable(lane)
    return problem is None or await helped_elsewhere(shop, executor, lane, problem)


async def helped_elsewhere(shop: JobContext, executor: Executor, lane: Lane, problem: Problem) -> bool:
    """Whether another living worker has what this host lacks; what is configured wrongly is so for all of them."""
    if problem.kind is not Kind.UNAVAILABLE:
        return False
    offered = await shop.database.read(workers.offered)
    return any(executor.needs(lane) <= offers for offers in offered)
