"""kill -9 around what a model reads: the next worker reads again, and the task comes out as if nothing had happened."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.lifecycle import State
from core.service import Request
from tests.e2e.kill.scene import ANA, TEXT, TIMING, Scene, carry, look, until
from tests.e2e.kill.test_points import WITH_A_MODEL
from tests.fakes.ollama import Say, Script, running_shim
from tests.homes import CliHome, make_home

pytestmark = pytest.mark.queue

NOTHING: dict[str, Any] = {"reading": "nothing"}
IDLE_WORDS = "the build machines hum along today"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A home whose requests a model reads when the grammar cannot."""
    home: CliHome = make_home(tmp_path)
    answers = [Say(json.dumps(NOTHING)) for _ in range(20)]
    with running_shim(Script(*answers)) as shim:
        config = home.root / "countersign.yaml"
        models = f"models:\n  local: {{url: {shim.url!r}}}\ninterpreter: {{models: [local/qwen3:8b]}}\n"
        config.write_text(re.sub(r"worker: \{.*\}\n", "", config.read_text()) + TIMING + models)
        made = Scene(home)
        yield made
        made.end()


@pytest.mark.parametrize("point", WITH_A_MODEL)
async def test_the_next_worker_reads_again_where_one_was_killed(point: str, scene: Scene) -> None:
    async with scene.office() as app:
        if point.startswith("read."):
            await app.service.ask(Request(text=TEXT, actor=ANA, repo="web"))
            before = await carry(app, scene, State.STAGED)
            await app.service.reply(1, IDLE_WORDS, ANA)
        else:
            await app.service.ask(Request(text=IDLE_WORDS, actor=ANA, repo="web"))
        await scene.fell(scene.begin("worker", at=point))
        heir = scene.begin("worker", steady=True)
        if point.startswith("read."):
            await until(app, lambda _task, chain: any(event.kind == "reply.refused" for event in chain))
            task, _ = await look(app)
            assert (task.state, task.revision, task.authors) == (State.STAGED, before.revision, before.authors)
            assert task.staged == before.staged
        else:
            await until(app, lambda task, _chain: task.state is State.CANCELLED)
        await scene.dismiss(heir)
