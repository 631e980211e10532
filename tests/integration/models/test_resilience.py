"""Lists of models over real endpoints: one goes down, the next answers, and the first is asked again later."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from core.model.circuit_breaker import BreakerThresholds
from core.model.errors import TransientError
from lanes.models import ChatMessage, ChatRequest, Endpoint
from lanes.models.registry import ModelRegistry
from tests.fakes.admission import MemoryAdmission
from tests.fakes.ollama import MODEL, Hang, OllamaShim, Say, Script

pytestmark = pytest.mark.lanes
ASK = ChatRequest((ChatMessage("user", "hello"),))
NAMES = (f"near/{MODEL}", f"far/{MODEL}")


def shelf(near: str, far: str, breakers: MemoryAdmission) -> ModelRegistry:
    endpoints = {
        "near": Endpoint("near", "ollama", near, first_token_s=0.3),
        "far": Endpoint("far", "ollama", far),
    }
    return ModelRegistry(endpoints, breakers)


async def test_an_endpoint_that_goes_down_is_replaced_left_in_peace_and_taken_again():
    now = [0.0]
    breakers = MemoryAdmission(BreakerThresholds(failures=2, open_s=30), lambda: now[0])
    async with OllamaShim(lambda _: Say("far")) as far:
        async with OllamaShim(lambda _: Say("near")) as near:
            port = near.port
            model = shelf(near.url, far.url, breakers).model_for(NAMES)
            assert (await model.ask(ASK)).model == NAMES[0]
        for _ in range(4):
            assert (await model.ask(ASK)).model == NAMES[1]
        assert breakers.wait_s("near") == 30
        async with OllamaShim(lambda _: Say("near again"), port=port) as back:
            assert (await model.ask(ASK)).text == "far"
            now[0] = 30
            assert (await model.ask(ASK)).text == "near again"
            assert breakers.wait_s("near") == 0
            assert len(back.requests) == 1


async def test_a_model_that_hangs_or_is_missing_is_replaced_within_its_deadline():
    async with OllamaShim(Hang("half an answer ")) as near, OllamaShim(Script(Say("whole"), Say("too"))) as far:
        endpoints = {
            "near": Endpoint("near", "ollama", near.url, between_tokens_s=0.3),
            "far": Endpoint("far", "ollama", far.url),
        }
        heard: list[str] = []

        async def hear(text: str) -> None:
            heard.append(text)

        shelves = ModelRegistry(endpoints, MemoryAdmission())
        reply = await shelves.model_for(NAMES).ask(ChatRequest(ASK.messages, on_text=hear))
        assert (reply.text, reply.model) == ("whole", NAMES[1])
        assert "".join(heard) == "half an answer whole"
        assert (await shelves.model_for(("near/nothing", NAMES[1])).ask(ASK)).text == "too"
        await near.until(lambda: near.hung_up == 1)


async def test_a_dead_endpoint_is_asked_no_more_than_its_breaker_lets_through():
    async with OllamaShim(lambda _: Hang()) as near:
        alone = shelf(near.url, near.url, MemoryAdmission(BreakerThresholds(failures=3, open_s=3600))).model_for(
            NAMES[:1]
        )
        outcomes = [await asyncio.gather(alone.ask(ASK), return_exceptions=True) for _ in range(8)]
        assert all(isinstance(error, TransientError) for (error,) in outcomes)
        assert len(near.requests) == 3


def test_reading_a_configuration_imports_no_vendors_client():
    code = (
        "import bot.configuration.config, bot.configuration.models, lanes.models.registry, sys; "
        "print({'ollama', 'httpx'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
