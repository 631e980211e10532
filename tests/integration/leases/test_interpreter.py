"""The interpreter leases its model as an agent does, and as a chat."""

from __future__ import annotations

import pytest

from bot.interpret.model_interpreter import ModelInterpreter
from tests import campaign
from tests.integration.leases.leased_models import leased_models
from tests.shims.ollama.scheduler import GIB, Hardware, ShimModel
from tests.shims.ollama.server import GpuShim, words
from tests.unit.interpret.contexts import VAGUE, context, turns

pytestmark = [pytest.mark.queue, campaign.EITHER]


async def test_the_interpreter_leases_its_model_like_any_other(database):
    models = {"alpha": ShimModel(2 * GIB, 1024, load_s=1.0, wake_s=1.0)}
    shim = GpuShim(models, Hardware(memory_bytes=12 * GIB), reply=words(4), speed=20.0)
    async with shim, leased_models(database, "w1", gpu=shim) as leased:
        interpreter = ModelInterpreter(leased.workers[0].models.model_for(["alpha"]), 30)
        await interpreter.interpret(turns(VAGUE), context())
        assert shim.requests
        history = await leased.book.history()
        assert {kind for kind, _seconds in history} == {("", "*/alpha")}
