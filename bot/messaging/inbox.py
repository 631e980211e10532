"""The ears: keep what surfaces hear, many at once in one transaction, before anything is acknowledged."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from bot.surfaces.port import ButtonPress, IncomingMessage, QuotedMessage, Response, TakenMessage
from core.log import fault_of, log
from core.model.errors import CountersignError, PermanentError, TransientError
from core.model.place import Place
from core.store import cards, identities, inbox, messages, notes, switches
from core.store.database import Database, Session
from core.store.inbox import InboxDelivery

MOST_AT_ONCE: Final = 500
"""Deliveries kept by one transaction."""
MOST_WAITING: Final = 20_000
"""Deliveries that may wait to be kept; beyond that platforms are asked to come again."""
MOST_CHARACTERS: Final = 200_000
"""Of one delivery's words; no platform lets people write as much, and nobody reads as much."""
WAIT_MS: Final = 2_000
"""How long a text that may go on in another message waits for it."""
HEARD, CLICKED = "heard", "clicked"
_NAMES: Final = 200
"""Characters of a name: a `dedup`, an id; longer ones are shortened by their hash."""
_UNKEEPABLE: Final = re.compile("[\0\ud800-\udfff]")
_COUNT: Final = re.compile(r"[0-9.]+$")


@dataclass(slots=True)
class _Pending:
    said: IncomingMessage | ButtonPress
    delivery: InboxDelivery
    kept: asyncio.Future[TakenMessage]

    @property
    def alone(self) -> bool:
        """Whether it is kept by itself, after what came before it."""
        return bool(self.said.edits or (isinstance(self.said, IncomingMessage) and self.said.rest_of))


@dataclass(slots=True)
class DurableInbox:
    """`Ears` on the database. `wake` is called when there is something new to hear.

    Under load many deliveries share one commit: the disk is waited for once for all of them.
    """

    database: Database
    wake: Callable[[], None] = lambda: None
    told_move: Callable[[str, str, str], None] = lambda _surface, _channel, _to: None
    _pending: list[_Pending] = field(default_factory=list)
    _writer: asyncio.Task[None] | None = None
    _answers: dict[int, asyncio.Future[Response]] = field(default_factory=dict)

    async def accept(self, said: IncomingMessage | ButtonPress) -> TakenMessage:
        """Keep a delivery; returns once it is on the disk.

        Raises `TransientError` when it should be delivered again, `PermanentError` when it never can be kept.
        """
        if len(self._pending) >= MOST_WAITING:
            raise TransientError(
                "too_much", "More comes in than can be kept", "Try again in a moment.", retry_after_s=5
            )
        kept: asyncio.Future[TakenMessage] = asyncio.get_running_loop().create_future()
        said = keepable(said)
        self._pending.append(_Pending(said, delivery_of(said), kept))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        return await kept

    async def wait_for_response(self, taken: TakenMessage, within_s: float) -> Response | None:
        """What became of it, or None while that is not known."""
        known = await self.database.read(lambda session: inbox.answer_to(session, taken.id))
        if known is not None:
            return answer_of(known)
        waiting = self._answers.setdefault(taken.id, asyncio.get_running_loop().create_future())
        try:
            async with asyncio.timeout(within_s):
                return await asyncio.shield(waiting)
        except TimeoutError:
            self._answers.pop(taken.id, None)
            known = await self.database.read(lambda session: inbox.answer_to(session, taken.id))
            return answer_of(known) if known is not None else None

    def answered(self, id_: int, answer: Response) -> None:
        """Tell whoever waits in this process."""
        waiting = self._answers.pop(id_, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    async def record_channel_move(self, surface: str, channel: str, to: str) -> None:
        """A channel has another id: remember it, and take its cards and notes along."""

        async def work(session: Session) -> None:
            now_ms = await self.database.now_ms(session)
            await identities.moved(session, surface, channel, to, now_ms)
            await cards.move(session, surface, channel, to)
            await notes.move(session, surface, channel, to)
            await messages.move(session, surface, channel, to)

        await self.database.write(work)
        self.told_move(surface, channel, to)

    async def load_state(self, surface: str) -> Mapping[str, Any]:
        """What `save_state` kept for a surface; empty where it kept nothing."""
        return await self.database.read(lambda session: switches.value_of(session, _memory(surface))) or {}

    async def save_state(self, surface: str, value: Mapping[str, Any]) -> None:
        """Keep `value` for a surface."""

        async def work(session: Session) -> None:
            now_ms = await self.database.now_ms(session)
            await switches.set_value(session, _memory(surface), dict(value), now_ms)

        await self.database.write(work)

    async def record_message(self, place: Place, message_id: str, below: str) -> None:
        """A message that a surface posted by itself is about the task of the message `below`."""

        async def work(session: Session) -> None:
            number = await messages.task_of(session, place.surface, place.channel, below)
            if number is not None:
                await messages.remember(session, number, place, [message_id], await self.database.now_ms(session))

        await self.database.write(work)

    async def _write(self) -> None:
        while self._pending:
            batch, self._pending = self._pending[:MOST_AT_ONCE], self._pending[MOST_AT_ONCE:]
            try:
                await self._keep_all(batch)
            except CountersignError as error:  # of the database, not of a message: it must come again
                again = TransientError(error.problem.code, error.problem.message, error.problem.mend)
                _fail(batch, error if isinstance(error, TransientError) else again)
                continue
            except BaseException:
                _fail(batch, TransientError("not_kept", "This could not be kept now", "Try again in a moment."))
                raise
            self.wake()

    async def _keep_all(self, batch: Sequence[_Pending]) -> None:
        """Keep a batch in one transaction; where one of it cannot be kept by the database, each in its own."""
        try:
            await self._keep(batch)
        except Exception as error:
            if isinstance(error, CountersignError) and error.problem.code != "unkeepable":
                raise
            if len(batch) > 1:
                for one in batch:
                    await self._keep_all([one])
                return
            log.error("delivery_was_unkeepable", surface=batch[0].delivery.surface, **fault_of(error))
            _fail(batch, PermanentError("unkeepable", "This message cannot be kept"))

    async def _keep(self, batch: Sequence[_Pending]) -> None:
        async def work(session: Session) -> list[TakenMessage]:
            now_ms = await self.database.now_ms(session)
            taken: list[TakenMessage] = []
            for run in _runs(batch):
                if run[0].alone:
                    taken.append(await _after_others(session, run[0], now_ms))
                else:
                    kept = await inbox.keep(session, [one.delivery for one in run], now_ms)
                    taken += [TakenMessage(id_, new) for id_, new in kept]
            return taken

        for one, taken in zip(batch, await self.database.write(work), strict=True):
            if not one.kept.done():
                one.kept.set_result(taken)


def _memory(surface: str) -> str:
    return f"memory.{surface}"


def _runs(batch: Sequence[_Pending]) -> Iterator[list[_Pending]]:
    """Neighbours that are kept at once; what speaks of an earlier message comes alone, after it."""
    run: list[_Pending] = []
    for one in batch:
        if run and (one.alone or run[-1].alone):
            yield run
            run = []
        run.append(one)
    if run:
        yield run


async def _after_others(session: Session, one: _Pending, now_ms: int) -> TakenMessage:
    """Keep an edit, unless its words are those that were kept last; put the rest of a text to its beginning."""
    said, delivery = one.said, one.delivery
    known = await inbox.find(session, delivery.surface, delivery.dedup)
    if known is not None:
        return TakenMessage(known, is_new=False)
    if said.edits:
        before = await inbox.latest(session, delivery.surface, said.edits, _COUNT.sub("", delivery.dedup))
        if before is not None and before[1].get("text") == said.text:
            return TakenMessage(before[0], is_new=False)
    first = None
    if isinstance(said, IncomingMessage) and said.rest_of:
        due_ms = now_ms + delivery.wait_ms
        first = await inbox.append(session, delivery.surface, said.rest_of, said.text, due_ms)
    ((id_, new),) = await inbox.keep(session, [delivery], now_ms)
    if first is None:
        return TakenMessage(id_, new)
    await inbox.finish(session, id_, asdict(Response()), now_ms)
    return TakenMessage(first, is_new=False)


def _fail(batch: Sequence[_Pending], error: CountersignError) -> None:
    for one in batch:
        if not one.kept.done():
            one.kept.set_exception(error)


def keepable(said: IncomingMessage | ButtonPress) -> IncomingMessage | ButtonPress:
    """The same as every database can keep it: no NUL, no half characters, no endless words or names."""
    place = replace(
        said.place, channel=_name(said.place.channel), thread=said.place.thread and _name(said.place.thread)
    )
    changes: dict[str, Any] = {}
    for name in said.__slots__:
        value = getattr(said, name)
        if isinstance(value, str):
            changes[name] = _words(value) if name in ("text", "context", "hint") else _name(value)
        elif isinstance(value, QuotedMessage):
            changes[name] = QuotedMessage(_words(value.text), _name(value.identity), _name(value.name))
    return replace(said, **changes, place=place)


def _words(text: str) -> str:
    return _UNKEEPABLE.sub("\N{REPLACEMENT CHARACTER}", text[:MOST_CHARACTERS])


def _name(text: str) -> str:
    """A name of bounded length; two different ones stay different."""
    if len(text) <= _NAMES:
        return _UNKEEPABLE.sub("\N{REPLACEMENT CHARACTER}", text)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return _UNKEEPABLE.sub("\N{REPLACEMENT CHARACTER}", text[: _NAMES - 33]) + "~" + digest


def delivery_of(said: IncomingMessage | ButtonPress) -> InboxDelivery:
    """What was said, as it is kept."""
    body: dict[str, Any] = {name: getattr(said, name) for name in said.__slots__ if name not in ("place", "dedup")}
    body["place"] = said.place.to_json()
    if isinstance(said, ButtonPress):
        return InboxDelivery(said.place.surface, said.dedup, CLICKED, body)
    body["quoted"] = asdict(said.quoted) if said.quoted is not None else None
    return InboxDelivery(said.place.surface, said.dedup, HEARD, body, WAIT_MS if said.may_go_on else 0)


def said_of(delivery: InboxDelivery) -> IncomingMessage | ButtonPress:
    """What `delivery_of` kept."""
    body = {**delivery.body, "place": Place.from_json(delivery.body["place"]), "dedup": delivery.dedup}
    if delivery.kind == CLICKED:
        return ButtonPress(**body)
    quoted = body.get("quoted")
    return IncomingMessage(**{**body, "quoted": QuotedMessage(**quoted) if quoted else None})


def answer_of(kept: dict[str, Any]) -> Response:
    """The answer as it was kept."""
    choices = tuple((label, line) for label, line in kept.get("choices", ()))
    return Response(**{**kept, "choices": choices})
