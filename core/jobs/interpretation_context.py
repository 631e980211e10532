"""What an interpreter may know where it reads a request: the repository, the discussion, and the lanes on offer."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from core.jobs.job_context import JobContext
from core.jobs.usage import JobUsage, day_is_spent
from core.model.event import Event
from core.model.job import Job
from core.model.lane import Lane
from core.model.lifecycle import Fact
from core.model.task import Task
from core.model.turn import Question, Turn
from core.ports import InterpretationContext
from core.rules.lane_availability import LaneAvailability
from core.rules.planning import RequestOrigin, open_lanes
from core.store import events, tasks, workers
from core.store.journal import JobJournal
from core.store.unit_of_work import Tx

ASKER = "countersign itself"
"""Who asks the questions in a discussion; no person's name has a space in it."""


async def availability_of(shop: JobContext) -> LaneAvailability:
    """Which lanes can work now: here, or on another worker that lives."""
    return LaneAvailability(shop.executors, tuple(await shop.database.read(workers.offered)))


async def context_of(shop: JobContext, job: Job, task: Task, availability: LaneAvailability) -> InterpretationContext:
    """Where the task's text is read. Its files are looked up only if somebody asks for them."""
    lanes = open_lanes(shop.settings(), RequestOrigin.of_task(task)) if task.repo else ()
    offers = [availability.offer(lane) for lane in lanes]
    discussion = await talk_of(shop, task)

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
        tuple(turn for turn in discussion.turns if turn.person == ASKER),
        JobUsage(shop, job, task.asked_lane or "", task.current.author, "interpret"),
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

    async def work(tx: Tx) -> tuple[tuple[Turn, ...], list[Event]]:
        return await tasks.turns_of(tx, task.number), await events.chain_of(tx, task.number)

    turns, chain = await shop.database.read(work)
    asked = [_as_turn(event, turns) for event in chain if event.kind == f"task.{Fact.UNCLEAR.value}"]
    talk = sorted([*turns, *asked], key=lambda turn: (turn.n, turn.person == ASKER))
    return Discussion(tuple(turn for turn in talk if turn.n >= task.current.basis.since))


def _as_turn(event: Event, turns: Sequence[Turn]) -> Turn:
    """The question of an event, after the last turn of the revision that it was about."""
    body = json.loads(event.body)
    question = Question.from_json(body["question"])
    options = f" (to press: {' | '.join(question.options)})" if question.options else ""
    after = max(turn.n for turn in turns if turn.revision <= body["revision"])
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
    paths = set(await repository.paths(await repository.fetch_base()))
    source = task.current.basis.continue_from
    if source is not None:
        earlier = await shop.database.read(lambda tx: tasks.revision_of(tx, task.number, source))
        for file in earlier.staged.files if earlier is not None and earlier.staged is not None else ():
            (paths.discard if file["status"] == "D" else paths.add)(str(file["path"]))
    return sorted(paths)
