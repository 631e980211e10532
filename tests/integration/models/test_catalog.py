"""The models of an endpoint: listing, pulling, loading, and their failures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.model.errors import CountersignError, Kind, PermanentError, TransientError
from lanes.models import Endpoint
from lanes.models.catalog import OllamaCatalog
from lanes.models.model_details import PullStep
from tests.fakes.ollama import MODEL, OllamaShim

pytestmark = pytest.mark.lanes


def stock(shim: OllamaShim, **changes: object) -> OllamaCatalog:
    return OllamaCatalog(replace(Endpoint("local", "ollama", shim.url), **changes))  # type: ignore[arg-type]


async def told(_step: PullStep) -> None:
    """No one looks."""


async def test_a_pull_tells_how_far_it_is_and_the_model_is_there_afterwards():
    steps: list[PullStep] = []

    async def hear(step: PullStep) -> None:
        steps.append(step)

    async with OllamaShim(models=[], pullable=["tiny"]) as shim:
        await stock(shim).pull("tiny", hear)
        assert [model.name for model in await stock(shim).installed_models()] == ["tiny:latest"]
    assert steps[0].status == "pulling manifest"
    assert [step.done_bytes for step in steps if step.total_bytes == 1000] == [0, 250, 500, 750, 1000]
    assert steps[-1].status == "success"


async def test_a_model_that_the_registry_lacks_is_missing():
    async with OllamaShim() as shim:
        with pytest.raises(PermanentError, match="registry") as caught:
            await stock(shim).pull("nothing", told)
    assert (caught.value.problem.code, caught.value.problem.kind) == ("model_missing", Kind.MISSING)


async def test_a_pull_that_breaks_off_can_be_tried_again():
    async with OllamaShim(pullable=["tiny"], pull_breaks=True) as shim:
        with pytest.raises(TransientError, match="stopped before its end") as caught:
            await stock(shim).pull("tiny", told)
    assert caught.value.problem.mend == "Pull it again; it continues where it stopped."


async def test_a_disk_without_room_is_said_with_what_to_do():
    full = "write /models/blobs/sha256-54484f-partial: no space left on device"
    async with OllamaShim(pullable=["tiny"], pull_breaks=full) as shim:
        with pytest.raises(TransientError, match="no space left on device") as caught:
            await stock(shim).pull("tiny", told)
    assert str(caught.value.problem.mend).startswith("Free disk space on its host")


async def test_loading_takes_the_context_and_the_time_that_lanes_will_ask_for():
    async with OllamaShim() as shim:
        await stock(shim, context_tokens=8192, keep_alive="-1").load(MODEL)
        (loaded,) = await stock(shim).loaded_models()
        assert (loaded.name, loaded.vram_bytes) == (MODEL, 6_700_000_000)
        assert loaded.until is not None
        assert loaded.until.year > 2100
        assert (shim.loads[0]["options"], shim.loads[0]["keep_alive"]) == ({"num_ctx": 8192}, -1)
        await stock(shim).unload(MODEL)
        assert await stock(shim).loaded_models() == ()


async def test_a_load_that_takes_too_long_is_slow():
    async with OllamaShim(load_s=3600) as shim:
        with pytest.raises(TransientError, match="did not answer within") as caught:
            await stock(shim, first_token_s=0.2).load(MODEL)
        assert caught.value.problem.code == "model_slow"
        await shim.until(lambda: shim.hung_up == 1)


@pytest.mark.parametrize("version", [None, 7, "x" * 1000])
async def test_a_version_is_whatever_short_text_it_says(version):
    async with OllamaShim() as shim:
        shim.version = version
        if isinstance(version, str):
            assert len(await stock(shim).version()) < 60
            return
        with pytest.raises(CountersignError) as caught:
            await stock(shim).version()
        assert caught.value.problem.code == "model_babbled"
