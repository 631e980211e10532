"""kill -9 around what a model reads: the next worker reads again, and the task comes out as if nothing had happened."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bot.wiring.app import App
from core.model.lifecycle import State
from core.services.requests import NewRequest
from core.store import events
from tests.e2e.kill.test_points import WITH_A_MODEL
from tests.e2e.kill.trial import ANA, TEXT, TIMING, KillTrial, carry, look, until
from tests.fakes.ollama import Say, Script, running_shim
from tests.homes import CliHome, make_home

pytestmark = pytest.mark.queue

NOTHING: dict[str, Any] = {"reading": "nothing"}
IDLE_WORDS = "the build machines hum along today"


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[KillTrial]:
    """A home whose requests a model reads when the grammar cannot."""
    home: CliHome = make_home(tmp_path)
    with running_shim(Script(then=Say(json.dumps(NOTHING)))) as shim:
        config = home.root / "countersign.yaml"
        models = f"models:\n  local: {{url: {shim.url!r}}}\ninterpreter: {{models: [local/qwen3:8b]}}\n"
        config.write_text(re.sub(r"worker: \{.*\}\n", "", config.read_text()) + TIMING + models)
        made = KillTrial(home)
        yield made
        made.end()


async def was_answered(app: App) -> bool:
    chain = await app.database.read(lambda tx: events.chain_of(tx, 1))
    return any(event.kind == "reply.refused" for event in chain)


@pytest.mark.parametrize("point", [point for point in WITH_A_MODEL if point.startswith("plan.")])
async def test_a_request_that_asks_for_nothing_ends_once_whoever_reads_it(point: str, trial: KillTrial) -> None:
    async with trial.opened_app() as app:
        await app.requests.ask(NewRequest(text=IDLE_WORDS, actor=ANA, repo="web"))
        await trial.fell(trial.begin("worker", at=point))
        heir = trial.begin("worker", steady=True)
        assert (await carry(app, trial, State.CANCELLED)).error is not None
        await trial.dismiss(heir)


@pytest.mark.parametrize("point", [point for point in WITH_A_MODEL if point.startswith("read.")])
async def test_a_reply_that_is_read_again_leaves_what_is_staged(point: str, trial: KillTrial) -> None:
    async with trial.opened_app() as app:
        await app.requests.ask(NewRequest(text=TEXT, actor=ANA, repo="web"))
        assert await trial.over(trial.begin("drain")) == 0
        before, _ = await look(app)
        await app.requests.reply(1, IDLE_WORDS, ANA)
        await trial.fell(trial.begin("worker", at=point))
        heir = trial.begin("worker", steady=True)
        await until(partial(was_answered, app), "the words are answered", trial)
        task, _ = await look(app)
        assert before.staged is not None
        assert (task.state, task.revision, task.staged) == (State.STAGED, before.revision, before.staged)
        assert task.authors == before.authors
        await trial.dismiss(heir)
