"""Each probe against answers of the real servers, and against answers of none."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core.model.errors import CountersignError, PermanentError, TransientError
from core.model.inventory import LoadOptions, ModelFamily, Residency
from lanes.inventory.metrics_text import metric_total
from lanes.inventory.ollama import OllamaProbe
from lanes.inventory.openai import OpenAiProbe
from lanes.inventory.reading import EndpointReading
from lanes.models.endpoint import Endpoint
from tests.integration.inventory import answers
from tests.shims.recorded import RecordedServer

pytestmark = pytest.mark.queue
LIMIT_S = 10.0
GIB = 1024**3


def endpoint(server: RecordedServer, kind: str = "openai") -> Endpoint:
    url = server.url if kind == "ollama" else f"{server.url}/v1"
    return Endpoint("local", kind, url, context_tokens=16_384)


async def openai_reading(recorded: dict[str, object]) -> tuple[EndpointReading, list[str]]:
    async with RecordedServer(recorded) as server:
        return await OpenAiProbe(endpoint(server)).read(LIMIT_S), server.asked


async def test_ollama_tells_what_is_loaded_where_and_until_when():
    async with RecordedServer(answers.OLLAMA) as server:
        reading = await OllamaProbe(endpoint(server, "ollama")).read(LIMIT_S)
    digest = "sha256:4f6b83f30b62bc3d0cf9be09266db222805ee815c8fd7d8b38f863f655be78b7"
    (resident,), (model,) = reading.residents, reading.models
    assert reading.server == "Ollama 0.12.6"
    assert resident.family == model.family == ModelFamily(digest, LoadOptions(16_384, 1))
    assert (resident.vram_bytes, resident.ram_bytes) == (6_372_905_984, 2_000_000_000)
    assert resident.expires_at == datetime(2026, 7, 30, 22, 50, 57, 706998, UTC)
    assert (model.size_bytes, model.quantization) == (4_661_226_402, "Q4_0")
    kv_cache = 2 * 32 * 8 * 128 * 16_384 * 2
    assert model.estimate_bytes == pytest.approx(4_661_226_402 * 1.03 + kv_cache + 384 * 1024**2, abs=2)


async def test_a_context_that_is_not_configured_is_another_family():
    recorded = {**answers.OLLAMA}
    async with RecordedServer(recorded) as server:
        reading = await OllamaProbe(Endpoint("local", "ollama", server.url, context_tokens=8192)).read(LIMIT_S)
    assert reading.residents[0].family != reading.models[0].family
    assert reading.residents[0].family.weights == reading.models[0].family.weights


async def test_between_two_looks_ollama_is_asked_only_what_changes():
    async with RecordedServer(answers.OLLAMA) as server:
        clock = iter((0.0, 5.0, 65.0))
        probe = OllamaProbe(endpoint(server, "ollama"), lambda: next(clock))
        first = await probe.read(LIMIT_S)
        assert sorted(server.asked) == ["GET /api/ps", "GET /api/tags", "GET /api/version", "POST /api/show"]
        server.asked.clear()
        assert await probe.read(LIMIT_S) == first
        assert server.asked == ["GET /api/ps"]
        server.asked.clear()
        assert await probe.read(LIMIT_S) == first
        assert sorted(server.asked) == ["GET /api/ps", "GET /api/tags", "GET /api/version"], "shapes never change"


async def test_heads_that_differ_by_layer_are_added_up():
    info = {**answers.OLLAMA["/api/show"]["model_info"], "llama.attention.head_count_kv": [8] * 16 + [0] * 16}
    recorded = {**answers.OLLAMA, "/api/show": {"model_info": info}}
    async with RecordedServer(recorded) as server:
        reading = await OllamaProbe(endpoint(server, "ollama")).read(LIMIT_S)
    kv_cache = 2 * 16 * 8 * 128 * 16_384 * 2
    assert reading.models[0].estimate_bytes == pytest.approx(4_661_226_402 * 1.03 + kv_cache + 384 * 1024**2, abs=2)


async def test_llama_cpp_tells_its_slots_and_how_many_wait():
    reading, asked = await openai_reading(answers.LLAMA_SERVER)
    (resident,) = reading.residents
    assert (reading.server, reading.slots, reading.running, reading.waiting) == ("llama.cpp b6792-a1b2c3d4", 2, 1, 3)
    assert resident.family == ModelFamily("name:qwen3", LoadOptions(1024, 2))
    assert (resident.level, resident.is_busy) == (Residency.AWAKE, True)
    assert "GET /slots" not in asked, "that would keep it from falling asleep"


async def test_a_sleeping_llama_cpp_is_asleep():
    recorded = {**answers.LLAMA_SERVER, "/props": {**answers.LLAMA_SERVER["/props"], "is_sleeping": True}}
    reading, _ = await openai_reading(recorded)
    assert reading.residents[0].level is Residency.ASLEEP


async def test_an_older_llama_cpp_without_metrics_is_asked_for_its_slots():
    reading, _ = await openai_reading(answers.OLD_LLAMA_SERVER)
    assert (reading.server, reading.running, reading.residents[0].is_busy) == ("llama.cpp", 1, True)


async def test_a_router_tells_the_state_and_the_options_of_each_model_and_loads_none():
    reading, asked = await openai_reading(answers.ROUTER)
    levels = {resident.name: resident.level for resident in reading.residents}
    assert reading.server == "llama.cpp router"
    assert levels == {
        "ggml-org/gemma-3-4b-it-GGUF:Q4_K_M": Residency.AWAKE,
        "big": Residency.LOADING,
        "idle": Residency.ASLEEP,
    }
    assert {model.name for model in reading.models} == {*levels, "broken", "new"}
    assert reading.residents[0].family.options == LoadOptions(8192, 2, ("a.gguf",))
    assert reading.residents[1].family.options == LoadOptions(4096)
    assert (reading.running, reading.waiting, reading.residents[0].is_busy) == (0, 0, False)
    assert all("autoload=false" in request for request in asked if "model=" in request)


async def test_vllm_tells_its_adapters_and_its_load():
    reading, _ = await openai_reading(answers.VLLM)
    assert (reading.server, reading.running, reading.waiting) == ("vLLM 0.14.0", 3, 72)
    base, adapter = reading.residents
    assert base.family == ModelFamily("name:Qwen/Qwen3-8B", LoadOptions(40_960))
    assert adapter.family == ModelFamily("name:Qwen/Qwen3-8B", LoadOptions(adapters=("sql-lora",)))


async def test_vllm_that_sleeps_and_one_outside_of_development_mode():
    asleep, _ = await openai_reading({**answers.VLLM, "/is_sleeping": {"is_sleeping": True}})
    assert {resident.level for resident in asleep.residents} == {Residency.ASLEEP}
    plain, _ = await openai_reading({"/v1/models": answers.VLLM["/v1/models"]})
    assert (plain.server, plain.running, plain.residents[0].is_busy) == ("vLLM", None, None)
    assert plain.residents[0].level is Residency.AWAKE


async def test_any_other_server_is_one_slot_of_which_only_the_list_is_known():
    reading, asked = await openai_reading(answers.OPAQUE)
    assert (reading.slots, reading.residents, [model.name for model in reading.models]) == (1, (), ["gpt-x"])
    assert not reading.has_canary, "a request may cost money there"
    assert asked == ["GET /v1/models"]


@pytest.mark.parametrize("name", answers.GARBAGE)
@pytest.mark.parametrize("kind", ["ollama", "openai"])
async def test_what_is_not_of_the_protocol_is_said_so_in_one_sentence(kind, name):
    body = answers.GARBAGE[name]
    everywhere = dict.fromkeys(("/api/ps", "/api/version", "/api/tags", "/v1/models"), body)
    async with RecordedServer(everywhere) as server:
        probe = OllamaProbe(endpoint(server, kind)) if kind == "ollama" else OpenAiProbe(endpoint(server, kind))
        with pytest.raises(PermanentError) as caught:
            await probe.read(LIMIT_S)
    assert caught.value.problem.code == "model_babbled"
    assert "sent an invalid answer" in caught.value.problem.message
    assert "\n" not in caught.value.problem.sentence()


async def test_a_server_that_is_not_there_is_down():
    async with RecordedServer({}) as server:
        gone = endpoint(server, "ollama")
    with pytest.raises(TransientError, match="nothing is listening"):
        await OllamaProbe(gone).read(LIMIT_S)


async def test_a_server_of_another_kind_is_told_from_one_that_is_broken():
    async with RecordedServer({}) as server:
        for probe in (OllamaProbe(endpoint(server, "ollama")), OpenAiProbe(endpoint(server))):
            with pytest.raises(CountersignError, match=r"does not offer the \w+ protocol"):
                await probe.read(LIMIT_S)


@pytest.mark.parametrize(
    ("text", "total"),
    [
        ("a 1\n", 1),
        ('a{x="1"} 1\na{x="2"} 2.0\n', 3),
        ("a_total 5\nab 7\n", None),
        ("# TYPE a gauge\n", None),
        ("a NaN\n", None),
        ("a -4\n", None),
        ("a many\na 2\n", 2),
        ("a 1e99\n", 2**31),
    ],
)
def test_a_metric_is_summed_over_its_labels(text, total):
    assert metric_total(text, "a") == total
