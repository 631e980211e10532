"""What the queue did: this installation's history as a trace that the simulator replays."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.model.job import JobKind
from core.scheduler.demand import WorkClass
from core.simulator.trace import Request
from core.store import queue_history
from core.store.database import Database, to_ms
from core.store.queue_history import FinishedWork
from core.store.unit_of_work import Tx, reads


@dataclass(frozen=True, slots=True)
class QueueHistory:
    """Reads what finished jobs took; nothing here names a task or shows a text."""

    database: Database

    @reads
    async def trace(self, tx: Tx, since: datetime | None) -> tuple[Request, ...]:
        """The finished jobs that asked a model, as requests with what happened; times are from the first arrival.

        A request arrives when its job was ready, and its work is the time from the claim to the end of its last try.
        Reading a request is chat work, because a person waits for the answer; changes are bulk work.
        """
        work = await queue_history.finished_work(tx, to_ms(since) if since else 0)
        return tuple(_request(each, work[0].ready_ms) for each in work)


def _request(work: FinishedWork, zero_ms: int) -> Request:
    endpoint, slash, model = work.model.partition("/")
    return Request(
        arrival_s=(work.ready_ms - zero_ms) / 1000,
        model=model if slash else endpoint,
        prompt_tokens=work.input_tokens,
        output_tokens=work.output_tokens,
        tenant=work.person,
        work_class=WorkClass.BULK if work.kind is JobKind.CHANGE else WorkClass.CHAT,
        deadline_s=None if work.deadline_ms is None else (work.deadline_ms - zero_ms) / 1000,
        lane=work.lane or work.kind.value,
        work_s=max(0, work.finished_ms - work.claimed_ms) / 1000,
        start_s=(work.claimed_ms - zero_ms) / 1000,
        finish_s=(work.finished_ms - zero_ms) / 1000,
    )
