"""What a simulation is given: endpoints, models, weights and workloads, and sentences for what cannot be simulated."""

from __future__ import annotations

import json
import math

import pytest

from bot.simulation.models_file import read_models
from bot.simulation.scenario import ScenarioOptions, build_scenario, read_weights, without_model
from core.model.errors import UsageError
from core.scheduler.weights import Weights
from core.simulator.cluster import parse_nodes
from core.simulator.model_figures import assumed_size_gb
from tests.unit.simulator.worlds import request

pytestmark = pytest.mark.queue

TRACE = "arrival_s,model,prompt_tokens,output_tokens\n"


def sentence_of(call, *arguments) -> str:
    with pytest.raises(UsageError) as raised:
        call(*arguments)
    return raised.value.problem.sentence()


def test_endpoints_are_read_with_their_memory_main_memory_and_slots():
    specs = parse_nodes("2x48GB, big=80gb+ram64GB+slots4")
    assert [(each.name, each.memory_mib, each.ram_mib, each.slots) for each in specs] == [
        ("gpu1", 49152, 0, 1),
        ("gpu2", 49152, 0, 1),
        ("big", 81920, 65536, 4),
    ]


@pytest.mark.parametrize(
    "text",
    ["", "GB", "x48GB", "0x48GB", "-1x48GB", "48GB,,", "a=2x48GB", "=48GB", "0GB", "nanGB", "48GB+fast", "48GB+slots0"],
)
def test_what_is_no_endpoint_is_named(text):
    assert "is not an endpoint. Write 2x48GB" in sentence_of(parse_nodes, text)


def test_an_endpoint_that_is_named_twice_is_refused():
    assert "endpoint a is named twice" in sentence_of(parse_nodes, "a=24GB,a=48GB")
    assert "endpoint gpu2 is named twice" in sentence_of(parse_nodes, "gpu2=24GB,48GB")


@pytest.mark.parametrize(
    ("name", "size_gb"),
    [
        ("qwen3:8b", 5.8),
        ("llama3.1-70B-instruct", 43.0),
        ("gemma:0.5b", 1.3),
        ("mistral", 8.0),
        ("v2b2x", 8.0),
        ("gpt-4", 8.0),
    ],
)
def test_the_size_of_a_model_is_assumed_from_the_billions_in_its_name(name, size_gb):
    assert assumed_size_gb(name) == size_gb


def test_models_are_read_from_csv_and_yaml(tmp_path):
    table, document = tmp_path / "m.csv", tmp_path / "m.yaml"
    table.write_text("name,size_gb,wake_s\nqwen3:8b,6,2\nplain,10,\n")
    document.write_text("models:\n  qwen3:8b: {size_gb: 6, wake_s: 2}\n  plain: {size_gb: 10}\n")
    assert read_models(table) == read_models(document)
    models = read_models(table)
    assert (models["qwen3:8b"].size_mib, models["qwen3:8b"].wake_s, models["plain"].wake_s) == (6144, 2.0, None)
    assert models["plain"].load_s == pytest.approx(3 + 10240 / 1200)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,size\na,1\n", "m.csv:1: not the columns"),
        ("name,size_gb\na,\n", "m.csv:2: size_gb: is missing"),
        ("name,size_gb\na,x\n", "m.csv:2: size_gb: 'x' is not a number"),
        ("name,size_gb\na,0\n", "m.csv:2: size_gb: 0 is not possible"),
        ("name,size_gb,load_s\na,1,-1\n", "m.csv:2: load_s: -1 is not possible"),
        ("name,size_gb\na,1\na,2\n", "m.csv:3: the model a is named twice"),
        ("name,size_gb\n,1\n", "m.csv:2: a model has no name"),
        ("name,size_gb\n", "m.csv has no models"),
    ],
)
def test_a_line_of_the_models_file_that_is_wrong_is_named(tmp_path, text, words):
    path = tmp_path / "m.csv"
    path.write_text(text)
    assert words in sentence_of(read_models, path)


def test_a_key_of_the_models_file_that_is_wrong_is_named(tmp_path):
    path = tmp_path / "m.yaml"
    path.write_text("models:\n  a: {size_gb: 0}\n")
    assert "m.yaml:2: models.a.size_gb" in sentence_of(read_models, path)


def test_models_that_nobody_described_are_assumed_and_said(tmp_path):
    trace, models = tmp_path / "t.csv", tmp_path / "m.csv"
    trace.write_text(TRACE + "0,known,1,1\n1,other:8b,1,1\n")
    models.write_text("name,size_gb\nknown,6\nunused,500\n")
    built = build_scenario(ScenarioOptions(trace=trace, models=models))
    assert built.assumed == ("other:8b",)
    assert built.notes == ("Assumed sizes: other:8b 5.8 GB. Describe them with --models FILE.",)
    assert [each.name for each in built.cluster.models] == ["known", "other:8b"]


def test_requests_without_a_model_are_spread_the_same_way_for_the_same_seed(tmp_path):
    trace = tmp_path / "t.csv"
    trace.write_text(TRACE + "".join(f"{second},,10,10\n" for second in range(50)))
    one, same, other = (build_scenario(ScenarioOptions(trace=trace, seed=seed)) for seed in (1, 1, 2))
    assert one.requests == same.requests != other.requests
    assert "spread over the 8 models" in one.notes[0]


@pytest.mark.parametrize("workload", ["eight", "bursty"])
def test_a_workload_has_the_load_that_was_asked_for(workload):
    built = build_scenario(ScenarioOptions(workload=workload, requests=300, load=0.7, nodes="3x48GB"))
    work_s = sum(map(built.cluster.work_s, built.requests))
    assert work_s / (3 * built.requests[-1].arrival_s) == pytest.approx(0.7)


@pytest.mark.parametrize("load", [0.0, -1.0, math.inf, math.nan])
def test_a_load_that_is_not_above_0_is_refused(load):
    assert "The load is" in sentence_of(build_scenario, ScenarioOptions(workload="eight", requests=10, load=load))


def test_a_model_that_fits_on_no_endpoint_is_named(tmp_path):
    trace = tmp_path / "t.csv"
    trace.write_text(TRACE + "0,llama:405b,1,1\n")
    words = sentence_of(build_scenario, ScenarioOptions(trace=trace))
    assert words.startswith("The model llama:405b needs 249856 MiB, but the largest endpoint has 49152 MiB")


def test_a_trace_or_a_workload_is_needed_and_not_both(tmp_path):
    for options in (ScenarioOptions(), ScenarioOptions(trace=tmp_path / "t.csv", workload="eight")):
        assert "needs a trace or a workload, and not both" in sentence_of(build_scenario, options)


def test_weights_are_read_as_they_are_and_as_a_tuning_wrote_them(tmp_path):
    path = tmp_path / "w.json"
    for document in ({"chat": 3}, {"weights": {"chat": 3.0}, "scores": {}}):
        path.write_text(json.dumps(document))
        assert read_weights(path) == Weights(chat=3.0)
    assert read_weights(None) == Weights()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"chat": -1}', "The weight chat is -1.0, but weights are 0 or more"),
        ('{"chat": "x"}', "The weight chat is 'x', not a number"),
        ('{"chta": 1}', "There is no weight 'chta'"),
        ('{"weights": 1}', "weights that are not an object"),
        ('{"chat": NaN}', "is not a JSON object"),
        ("[1]", "is not a JSON object"),
        ("", "is not a JSON object"),
    ],
)
def test_weights_that_are_wrong_are_named(tmp_path, text, words):
    path = tmp_path / "w.json"
    path.write_text(text)
    assert words in sentence_of(read_weights, path)


def test_a_model_is_taken_away_with_its_requests_or_served_by_another():
    requests = [request(0, "a"), request(1, "b")]
    assert [each.model for each in without_model(requests, "a")] == ["b"]
    assert [each.model for each in without_model(requests, "a=b")] == ["b", "b"]
    assert "No request names the model 'c'. Known: a, b." in sentence_of(without_model, requests, "c")
    assert "names no other model" in sentence_of(without_model, requests, "a=")
    assert "All requests are for a" in sentence_of(without_model, requests[:1], "a")
