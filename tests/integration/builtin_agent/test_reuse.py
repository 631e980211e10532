"""Results by content: a lane with `reuse: true` adopts the result of an earlier run with the same inputs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.model.intent import Intent
from core.model.turn import Turn
from core.ports.executor import WorkOrder
from core.store.artifacts import ArtifactFiles
from lanes.models import Endpoint
from lanes.registry import load_lane
from lanes.workflow.cache import StepCache
from lanes.workflow.reuse import ReusingExecutor
from tests import builders
from tests.integration.builtin_agent.conftest import Scripted, call

pytestmark = pytest.mark.lanes

TURNS = (
    call("edit_file", path="docs/guide.md", old="The colour is red.", new="The color is red."),
    call("finish", summary="Done."),
)
ENDPOINT = Endpoint("local", "ollama", "http://127.0.0.1:1", context_tokens=8192)


@pytest.fixture
def model() -> Scripted:
    """A model that can do the work many times."""
    return Scripted([*TURNS] * 4)


@pytest.fixture
def reusing(runner, model, tmp_path: Path):
    """The executor of the lane, with its cache of results."""

    def build(endpoint: Endpoint = ENDPOINT) -> ReusingExecutor:
        files = ArtifactFiles(tmp_path / "artifacts")
        return ReusingExecutor(runner.executor(model), StepCache(tmp_path / "steps"), files, {"local": endpoint})

    return build


async def order_of(runner, number: int, person: str = "ana", **changes) -> WorkOrder:
    """The order of a task in a lane that reuses results."""
    order: WorkOrder = await runner.order(lane={"reuse": True})
    text = order.intent.text
    turn = Turn(1, person, "terminal", text, builders.NOON, 1)
    changed: WorkOrder = replace(order, **{"number": number, "turns": (turn,), "authors": (person,), **changes})
    return changed


async def test_the_same_request_adopts_the_tree_the_files_and_who_made_them(runner, repo, model, reusing):
    first = await reusing().produce(await order_of(runner, 12), repo)
    asked = len(model.asked)
    again = await reusing().produce(await order_of(runner, 13, "bo"), repo)
    assert len(model.asked) == asked
    assert (again.tree, again.artifacts) == (first.tree, first.artifacts)
    assert again.provenance == replace(first.provenance, run_of=12)
    assert again.authors == ("ana",)
    assert runner.progress[-1] == "takes the result of the run of #12"


@pytest.mark.parametrize("difference", ["text", "lane", "model", "options", "tree", "parameters", "revision", "off"])
async def test_any_other_input_is_made_anew(runner, repo, model, reusing, difference):
    await reusing().produce(await order_of(runner, 12), repo)
    asked, order, endpoint = len(model.asked), await order_of(runner, 13), ENDPOINT
    match difference:
        case "text":
            order = replace(order, intent=Intent("say it otherwise"))
        case "lane":
            order = replace(order, lane=replace(order.lane, version=2))
        case "model":
            order = replace(order, lane=replace(order.lane, models=(*order.lane.models, "local/other")))
        case "options":
            endpoint = replace(ENDPOINT, context_tokens=4096)
        case "tree":
            order = replace(order, start=await repo.write_tree(order.start, {"docs/b.md": b"b"}, [], {}))
        case "parameters":
            order = replace(order, parameters={"name": "value"})
        case "revision":
            order = replace(order, revision=2)
        case "off":
            order = replace(order, lane=replace(order.lane, reuse=False))
    made = await reusing(endpoint).produce(order, repo)
    assert len(model.asked) > asked
    assert made.provenance.run_of is None


async def test_a_result_whose_files_are_gone_is_made_anew(runner, repo, model, reusing, tmp_path):
    await reusing().produce(await order_of(runner, 12), repo)
    for file in (tmp_path / "artifacts").glob("??/*"):
        file.unlink()
    asked = len(model.asked)
    assert (await reusing().produce(await order_of(runner, 13), repo)).provenance.run_of is None
    assert len(model.asked) > asked


def test_a_lane_file_switches_it_on(tmp_path):
    lane = tmp_path / "docs.yaml"
    text = "name: docs\ndescribe: docs\nwrite: ['docs/**']\nexecutor: edit\n"
    lane.write_text(text)
    assert load_lane(lane).reuse is False
    lane.write_text(f"{text}reuse: true\n")
    assert load_lane(lane).reuse is True
