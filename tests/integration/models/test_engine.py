"""The real engine, llama.cpp, behind the fake Ollama's protocol: a night's test, for its package compiles for minutes.

It is skipped, and so proves nothing, wherever llama-cpp-python is not installed; no other test needs it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lanes.models import Ask, Endpoint, Message
from lanes.models.ollama import OllamaModel
from tests.fakes.ollama import MODEL, OllamaShim, Request, Say
from tests.integration.models.random_model import write_model

pytestmark = pytest.mark.lanes
WHY = "needs the packages llama-cpp-python and gguf: pip install llama-cpp-python gguf"
SCHEMA = {
    "type": "object",
    "properties": {"lane": {"type": "string", "enum": ["docs", "code"]}, "sure": {"type": "boolean"}},
    "required": ["lane", "sure"],
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """llama.cpp with a model of random weights."""
    llama_cpp = pytest.importorskip("llama_cpp", reason=WHY)
    file = tmp_path_factory.mktemp("model") / "random.gguf"
    write_model(file, pytest.importorskip("gguf", reason=WHY))
    return llama_cpp.Llama(str(file), n_ctx=2048, n_gpu_layers=0, seed=1, verbose=False)


async def test_even_random_weights_answer_in_the_shape_that_was_asked_for(engine):
    def answer(request: Request) -> Say:
        said = engine.create_chat_completion(
            messages=[{"role": message["role"], "content": message["content"]} for message in request.messages],
            response_format={"type": "json_object", "schema": request.format},
            max_tokens=request.options["num_predict"],
        )
        used = said["usage"]
        text = said["choices"][0]["message"]["content"]
        return Say(text, tokens=(used["prompt_tokens"], used["completion_tokens"]))

    async with OllamaShim(answer) as shim:
        ask = Ask((Message("user", "Which lane?"),), schema=SCHEMA, most_tokens=256)
        reply = await OllamaModel(Endpoint("local", "ollama", shim.url), MODEL).ask(ask)
    said = json.loads(reply.text)
    assert said["lane"] in ("docs", "code")
    assert isinstance(said["sure"], bool)
    assert reply.usage.input_tokens > 0


def test_the_model_file_is_one(tmp_path: Path):
    gguf = pytest.importorskip("gguf", reason="needs the package gguf: pip install gguf")
    file = tmp_path / "random.gguf"
    write_model(file, gguf)
    read = gguf.GGUFReader(str(file))
    assert len(read.tensors) == 3 + 2 * 9
    assert file.stat().st_size < 1_000_000
