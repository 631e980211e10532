"""Replies that only a model can read: what is staged stays until they are known to ask for a change (chat.md 3, 8)."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from bot.interpret.quick_reader import QuickReader
from core.model.errors import TransientError, UsageError
from core.model.lifecycle import State
from core.model.note import Note
from core.model.place import Place
from core.model.turn import MessageOrigin
from core.services.requests import Requests
from core.store import events, notes, queue_queries
from tests.builders import ANA, LEE, MAX
from tests.clock import timed
from tests.fakes.scripted import ScriptedModel
from tests.integration.interpret.conftest import InterpreterHarness

pytestmark = pytest.mark.lanes

HEARD = MessageOrigin(Place("telegram", "-100"), "p7", "103")
NOTHING: dict[str, Any] = {"reading": "nothing"}
PAGE = {"kind": "create_file", "path": "docs/timeout.md", "content": "It is 30.\n"}
EDITS = {"reading": "edits", "lane": "docs", "edits": [PAGE]}
CI = {**PAGE, "path": ".github/workflows/x.yml"}


@pytest_asyncio.fixture
async def staged(harness: InterpreterHarness) -> InterpreterHarness:
    """#1 is staged, and its service reads with a model what the grammar cannot."""
    await harness.read('create docs/x.md with "hello"', "not needed")
    reader = QuickReader(lambda: True, harness.all_executors)
    harness.requests = Requests(harness.database, lambda: harness.settings, harness.milestones, reader)
    assert await harness.state(1) is State.STAGED
    return harness


async def said(harness: InterpreterHarness) -> list[Note]:
    """What is owed to the chat."""
    return await harness.database.write(lambda tx: notes.begin(timed(tx, 2**50), "telegram", 50))


async def test_chat_03_words_that_a_model_finds_idle_leave_all_as_it_was(staged: InterpreterHarness) -> None:
    before = await staged.task(1)
    staged.model = ScriptedModel([NOTHING])
    task = await staged.requests.reply(1, "that came out rather lovely, maria", LEE, "m:1", HEARD)
    assert task == before, "nothing changes while it is read"
    await staged.drain()
    assert await staged.task(1) == before
    (note,) = await said(staged)
    assert "#1 stays as it is" in note.text
    assert (note.reply_to, note.only_to, note.number) == ("p7", "103", 1)
    assert before.staged is not None
    answer = await staged.approvals.approve(1, before.staged.digest, LEE)
    assert answer.problem is None, "the same digest, and lee is no author"


async def test_chat_03_words_that_a_model_understands_begin_the_revision(staged: InterpreterHarness) -> None:
    staged.model = ScriptedModel([EDITS])
    await staged.requests.reply(1, "there ought to be a page about the timeout", MAX, "m:1", HEARD)
    await staged.drain()
    task = await staged.task(1)
    assert (task.state, task.revision, sorted(task.authors)) == (State.STAGED, 2, ["ana", "max"])
    assert len(staged.model.asks) == 1, "what was read is not read again"
    assert await said(staged) == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"reading": "unclear", "question": "Which page?"}, "Which page?"),
        ({"reading": "edits", "lane": "docs", "edits": [CI]}, "may not be changed in any lane"),
        ("rubbish", "#1 stays as it is"),
    ],
)
async def test_chat_03_what_leads_to_no_revision_is_told_and_changes_nothing(
    staged: InterpreterHarness, answer: Any, words: str
) -> None:
    before = await staged.task(1)
    staged.model = ScriptedModel([answer])
    await staged.requests.reply(1, "there ought to be a page about it", MAX, "m:1", HEARD)
    await staged.drain()
    assert await staged.task(1) == before
    (note,) = await said(staged)
    assert words in note.text
    assert "#1 stays as it is" in note.text
    chain = await staged.database.read(lambda tx: events.chain_of(tx, 1))
    assert [event.kind for event in chain][-2:] == ["reply.received", "reply.refused"]


async def test_an_approval_waits_until_a_reply_is_read(staged: InterpreterHarness) -> None:
    staged.model = ScriptedModel([NOTHING])
    before = await staged.task(1)
    assert before.staged is not None
    await staged.requests.reply(1, "hold on, that is not what we agreed on", ANA, "m:1", HEARD)
    answer = await staged.approvals.approve(1, before.staged.digest, LEE)
    assert answer.problem is not None
    assert answer.problem.code == "being_read"
    with pytest.raises(TransientError, match="being read"):
        await staged.requests.reply(1, "and one more thing", MAX, "m:2", HEARD)
    await staged.drain()
    assert (await staged.approvals.approve(1, before.staged.digest, LEE)).problem is None


async def test_a_reply_delivered_twice_is_read_once(staged: InterpreterHarness) -> None:
    staged.model = ScriptedModel([NOTHING])
    for _ in range(2):
        await staged.requests.reply(1, "that came out rather lovely, maria", LEE, "m:1", HEARD)
    await staged.drain()
    await staged.requests.reply(1, "that came out rather lovely, maria", LEE, "m:1", HEARD)
    assert len(await said(staged)) == 1
    assert await staged.database.read(lambda tx: queue_queries.reads_of(tx, 1)) == []


async def test_a_reply_to_what_ended_while_it_was_read_is_answered(staged: InterpreterHarness) -> None:
    staged.model = ScriptedModel([EDITS])
    await staged.requests.reply(1, "there ought to be a page about it", MAX, "m:1", HEARD)
    await staged.requests.cancel(1, ANA)
    await staged.drain()
    assert await staged.state(1) is State.CANCELLED
    (note,) = await said(staged)
    assert "#1 is cancelled" in note.text


async def test_a_model_that_breaks_fails_no_task_by_a_reply(staged: InterpreterHarness) -> None:
    staged.model = ScriptedModel([ValueError("a fault of the reader's own")])
    await staged.requests.reply(1, "there ought to be a page about it", MAX, "m:1", HEARD)
    await staged.drain()
    assert await staged.state(1) is State.STAGED
    assert len(await said(staged)) == 1


async def test_chat_03_praise_needs_no_model(staged: InterpreterHarness) -> None:
    staged.model = ScriptedModel(["never asked"])
    with pytest.raises(UsageError, match="words alone approve nothing"):
        await staged.requests.reply(1, "lgtm 👍", LEE)
    assert staged.model.asks == []


async def test_chat_08_talk_that_only_a_model_knows_waits_for_nobody(staged: InterpreterHarness) -> None:
    number = await staged.read("my holidays on the island were so relaxing", NOTHING)
    task = await staged.task(number)
    assert task.state is State.CANCELLED
    assert task.error is not None
    assert "asks for no change" in task.error.message
