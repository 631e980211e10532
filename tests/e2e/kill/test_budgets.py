"""kill -9 around the pause for a larger budget: one question, one extension, and no turn of the model twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.wiring.app import App
from core.model.errors import ConflictError
from core.model.lifecycle import State
from core.services.requests import NewRequest
from core.store import events
from tests import campaign
from tests.e2e.kill.test_points import WITH_A_BUDGET
from tests.e2e.kill.trial import ANA, LEE, TIMING, KillTrial, carry, check
from tests.fakes.ollama import Call, Calls, OllamaShim, Script, running_shim
from tests.homes import CliHome, make_home

pytestmark = pytest.mark.queue

LANE = """\
name: code
describe: any file
write: ["**"]
executor: ollama
models: [local/qwen3:8b]
budget: {steps: 2}
"""
BESIDE_AN_EFFECT = ("change.before_paused", "extend.committed")
"""The points of `make test`; `make campaigns` kills at all."""
TURNS = (
    Calls((("write_file", {"path": "docs/a.md", "text": "a"}),)),
    Calls((("write_file", {"path": "docs/b.md", "text": "b"}),)),
    Calls((("write_file", {"path": "docs/c.md", "text": "c"}),)),
    Call("finish", summary="Three pages."),
)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[tuple[KillTrial, OllamaShim]]:
    """A home with a lane of two steps, whose model takes four; the script has each turn once."""
    home: CliHome = make_home(tmp_path)
    with running_shim(Script(*TURNS)) as shim:
        config = home.root / "countersign.yaml"
        models = f"models:\n  local: {{url: {shim.url!r}}}\n"
        config.write_text(re.sub(r"worker: \{.*\}\n", "", config.read_text()) + TIMING + models)
        (home.root / "lanes" / "code.yaml").write_text(LANE)
        trial = KillTrial(home)
        yield trial, shim
        trial.end()


async def extended(app: App) -> int:
    chain = await app.database.read(lambda tx: events.chain_of(tx, 1))
    return sum(event.kind == "task.extended" for event in chain)


@pytest.mark.parametrize("point", WITH_A_BUDGET if campaign.WHOLE else BESIDE_AN_EFFECT)
async def test_the_work_continues_where_its_budget_ended_whatever_dies(point: str, scene) -> None:
    trial, shim = scene
    async with trial.opened_app() as app:
        await app.requests.ask(NewRequest(text="write three pages", actor=ANA, repo="web", lane="code"))
        if point.startswith("change."):
            await trial.fell(trial.begin("worker", at=point))
            worker = trial.begin("worker", steady=True)
            await carry(app, trial, State.ASKING)
            await trial.dismiss(worker)
            await app.budgets.extend(1, LEE)  # while no worker runs
        else:
            worker = trial.begin("worker", steady=True)
            await carry(app, trial, State.ASKING)
            await trial.dismiss(worker)
            await trial.fell(trial.begin("extend", "lee", 1, at=point))
            if point == "extend.received":
                await app.budgets.extend(1, LEE)
            else:
                with pytest.raises(ConflictError):
                    await app.budgets.extend(1, LEE)
        heir = trial.begin("worker", steady=True)
        task = await carry(app, trial, State.PUBLISHED)
        await trial.dismiss(heir)
        await check(app, trial, task)
        assert await extended(app) == 1
        assert len(shim.requests) == len(TURNS)
        assert task.current.provenance is not None
        assert [usage.calls for usage in task.current.provenance.usage] == [len(TURNS)]
