"""What an interpreter is given to read a request: the repository, the discussion, and the lanes on offer."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from core.jobs.job_context import JobContext
from core.jobs.usage import JobUsage, is_day_spent
from core.model.event import Event
from core.model.job import Job
from core.model.lane import Lane
from core.model.lifecycle import Fact
from core.model.task import Task
from core.model.turn import Question, Turn
from core.ports.interpretation import InterpretationContext
from core.rules.lane_availability import LaneAvailability
from core.rules.planning import RequestOrigin, open_lanes
from core.store import events, tasks, workers
from core.store.journal import JobJournal
from core.store.unit_of_work import Tx

ASKER = "countersign itself"
"""The author of the questions in a discussion; names of people contain no spaces."""


async def availability_of(context: JobContext) -> LaneAvailability:
    """Which lanes can run now, on this worker or on another living one."""
    return LaneAvailability(context.executors, tuple(await context.database.read(workers.offered)))


async def interpretation_context_for(
    context: JobContext, job: Job, task: Task, availability: LaneAvailability
) -> InterpretationContext:
    """What is needed to read the task's text; the repository's files are listed only when they are needed."""
    lanes = open_lanes(context.settings(), RequestOrigin.of_task(task)) if task.repo else ()
    offers = [availability.offer(lane) for lane in lanes]
    discussion = await discussion_of(context, task)

    listed_files: list[Sequence[str]] = []

    async def files() -> Sequence[str]:
        if not listed_files:
            listed_files.append(await _files(context, task))
        return listed_files[0]

    fetched_base: list[str] = []

    async def read(path: str) -> bytes | None:
        repository = context.repository(task.repo or "")
        if not fetched_base:
            fetched_base.append(await repository.fetch_base())
        return await repository.read_path(fetched_base[0], path)

    return InterpretationContext(
        task.repo,
        tuple(offers),
        files,
        JobJournal(context.database, job, "interpret"),
        tuple(turn for turn in discussion.turns if turn.person == ASKER),
        JobUsage(context, job, task.asked_lane or "", task.current.author, "interpret"),
        await _exhausted_budget(context, lanes),
        read if task.repo else None,
    )


@dataclass(frozen=True, slots=True)
class Discussion:
    """Turns that are shown to a model or an executor, in order, together with their authors."""

    turns: tuple[Turn, ...]

    @property
    def authors(self) -> frozenset[str]:
        """Everyone whose words it contains: they may not approve what is made from them (security.md 147)."""
        return frozenset(turn.person for turn in self.turns if turn.person != ASKER)

    def turns_of_people(self, upto: int) -> Discussion:
        """The turns of people up to number `upto`."""
        return Discussion(tuple(turn for turn in self.turns if turn.n <= upto and turn.person != ASKER))

    def only(self, numbers: Collection[int]) -> Discussion:
        """The turns of people with these numbers."""
        return Discussion(tuple(turn for turn in self.turns if turn.n in numbers and turn.person != ASKER))


async def discussion_of(context: JobContext, task: Task) -> Discussion:
    """What may be shown to the maker of the current revision: what people wrote, and what `ASKER` asked them."""
    turns, chain = await context.database.read(lambda tx: _turns_and_events(tx, task.number))
    questions = [_question_turn(event, turns) for event in chain if event.kind == f"task.{Fact.UNCLEAR.value}"]
    ordered = sorted([*turns, *questions], key=lambda turn: (turn.n, turn.person == ASKER))
    return Discussion(tuple(turn for turn in ordered if turn.n >= task.current.basis.since))


async def _turns_and_events(tx: Tx, number: int) -> tuple[tuple[Turn, ...], list[Event]]:
    return await tasks.turns_of(tx, number), await events.chain_of(tx, number)


def _question_turn(event: Event, turns: Sequence[Turn]) -> Turn:
    """The question of an event as a turn, after the last turn of the revision that it was about."""
    body = json.loads(event.body)
    question = Question.from_json(body["question"])
    options = f" (to press: {' | '.join(question.options)})" if question.options else ""
    after = max(turn.n for turn in turns if turn.revision <= body["revision"])
    return Turn(after, ASKER, "", question.text + options, event.at, body["revision"])


async def _exhausted_budget(context: JobContext, lanes: Sequence[Lane]) -> str:
    """Why no model may read for these lanes, or an empty text: each of them has used up its budget of 24 hours."""
    exhausted = [await is_day_spent(context, lane) for lane in lanes]
    return "the lanes on offer have used up their budget of 24 hours" if exhausted and all(exhausted) else ""


async def _files(context: JobContext, task: Task) -> Sequence[str]:
    """The files that a request can name: the branch's, as changed by the revision that this one continues."""
    if task.repo is None:
        return ()
    repository = context.repository(task.repo)
    paths = set(await repository.paths(await repository.fetch_base()))
    source = task.current.basis.continue_from
    if source is not None:
        earlier = await context.database.read(lambda tx: tasks.revision_of(tx, task.number, source))
        for file in earlier.staged.files if earlier is not None and earlier.staged is not None else ():
            (paths.discard if file["status"] == "D" else paths.add)(str(file["path"]))
    return sorted(paths)
