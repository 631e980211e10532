"""The models of the endpoints on the command line: words, documents and exit codes, against a fake Ollama."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Mapping

import pytest

from tests.fakes.ollama import MODEL, OllamaShim, StoredModel, running_shim
from tests.homes import CliHome

pytestmark = pytest.mark.lanes
ESCAPE = "\x1b"


def configured(home: CliHome, **urls: str) -> CliHome:
    """The home with these endpoints, of kind ollama unless the name says another."""
    kinds = {"claude": "anthropic", "vllm": "openai"}
    lines = [f"  {name}: {{kind: {kinds.get(name, 'ollama')}, url: '{url}'}}" for name, url in urls.items()]
    config = home.root / "countersign.yaml"
    config.write_text("\n".join([config.read_text(), "models:", *lines, ""]))
    return home


def nobody() -> str:
    """An address at which no one listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def with_lane(home: CliHome, *models: str) -> None:
    lane = "name: big\ndescribe: any file\nwrite: ['**']\nexecutor: ollama\nmodels: " + json.dumps(models)
    (home.root / "lanes" / "big.yaml").write_text(lane + "\n")


def rows(home: CliHome, code: int) -> Mapping[str, dict[str, str]]:
    found = home.document("doctor", code=code)["checks"]
    return {row["name"]: row for row in found if "endpoint" in row["name"] or row["name"].startswith("models of")}


def test_a_model_is_pulled_shown_loaded_seen_and_unloaded(home: CliHome):
    with running_shim(models=[], pullable=["tiny:1b"]) as shim:
        configured(home, local=shim.url)
        assert home.document("models", "pull", "tiny:1b") == {"pulled": "local/tiny:1b"}
        (endpoint,) = home.document("models", "list")["endpoints"]
        assert (endpoint["endpoint"], endpoint["up"], endpoint["version"]) == ("local", True, f"Ollama {shim.version}")
        assert [model["name"] for model in endpoint["models"]] == ["local/tiny:1b"]
        shown = home.document("models", "show", "local/tiny:1b")
        assert (shown["abilities"], shown["context_tokens"]) == (["completion", "tools"], 40_960)
        assert home.document("models", "ps")["endpoints"][0]["models"] == []
        assert home.document("models", "load", "tiny:1b") == {"loaded": "local/tiny:1b"}
        (loaded,) = home.document("models", "ps")["endpoints"][0]["models"]
        assert (loaded["name"], loaded["vram_bytes"]) == ("local/tiny:1b", 6_700_000_000)
        assert home.document("models", "unload", "tiny:1b") == {"unloaded": "local/tiny:1b"}
        assert shim.resident == set()


def test_people_read_sentences_and_tables_without_colours_in_a_pipe(home: CliHome):
    with running_shim(models={MODEL: StoredModel(), "a\x1b[31m": StoredModel()}, pullable=["tiny"]) as shim:
        configured(home, local=shim.url, claude="https://api.anthropic.com")
        listed = home.run("models", "list").out
        assert "claude · anthropic, for agents only: not asked" in listed
        assert ["local/qwen3:8b", "5.2", "GB", "8.2B", "Q4_K_M"] in [line.split() for line in listed.splitlines()]
        assert "can" in home.run("models", "show", MODEL).out
        pulled = home.run("models", "pull", "local/tiny")
        assert pulled.out == "local/tiny is installed.\n"
        assert "local/tiny: pulling manifest\n" in pulled.err
        assert "0% of 1.0 kB" in pulled.err
        assert home.run("models", "load", MODEL).out == "local/qwen3:8b is loaded, and stays for 5m.\n"
        resident = home.run("models", "ps").out
        assert "local/qwen3:8b  6.7 GB  100% on the GPU  unloads in" in resident
        assert home.run("models", "unload", MODEL).out == "local/qwen3:8b is unloaded.\n"
        assert home.run("models", "ps").out == "No model is in memory.\n"
        assert ESCAPE not in listed + pulled.out + pulled.err + resident


@pytest.mark.skipif(os.name != "posix", reason="Windows has no pseudo terminals")
def test_on_a_terminal_a_pull_is_one_living_line(home: CliHome):
    master, slave = os.openpty()
    with running_shim(models=[], pullable=["tiny"]) as shim:
        configured(home, local=shim.url)
        running = home.start("models", "pull", "tiny", stdout=subprocess.DEVNULL, stderr=slave)
        assert running.wait(60) == 0
    os.close(slave)
    told = os.read(master, 65_536).decode()
    os.close(master)
    assert f"{ESCAPE}[2Klocal/tiny: pulling manifest" in told
    assert told.endswith(f"\r{ESCAPE}[2K")
    assert "\n" not in told


def test_2_an_endpoint_or_a_name_that_is_none(home: CliHome):
    assert "No endpoints" in home.call("models", "list").out
    said = home.call("models", "show", "qwen3")
    assert (said.code, "Endpoints: none" in said.sentence()) == (2, True)
    configured(home, local="http://127.0.0.1:9", far="http://127.0.0.1:9", claude="https://api.anthropic.com")
    for words, part in (
        (("list", "--endpoint", "nowhere"), "Known: claude, far, local"),
        (("ps", "--endpoint", "claude"), "of kind anthropic"),
        (("show", "nowhere/qwen3"), "There is no endpoint 'nowhere'"),
        (("pull", "qwen3"), "Endpoints: claude, far, local"),
        (("load", "claude/opus"), "of kind anthropic"),
        (("unload",), "Missing argument"),
        (("pull", ""), "does not name an endpoint"),
        (("pull", "local/"), "does not name a model"),
    ):
        said = home.call("models", *words)
        assert (said.code, part in said.sentence()) == (2, True), said


def test_6_a_model_that_is_not_there(home: CliHome):
    with running_shim() as shim:
        configured(home, local=shim.url)
        for verb in ("show", "load", "unload"):
            said = home.call("models", verb, "llama9:70b", "--json")
            assert (said.code, said.json()["error"]["code"]) == (6, "model_missing")
            assert "countersign models pull local/llama9:70b" in said.sentence()
        said = home.call("models", "pull", "llama9:70b")
        assert (said.code, "registry" in said.err) == (6, True)


def test_7_an_endpoint_that_does_not_answer_and_the_others_are_still_listed(home: CliHome):
    with running_shim() as shim:
        configured(home, local=shim.url, far=nobody())
        for verb in ("list", "ps"):
            said = home.call("models", verb, "--json")
            assert said.code == 7
            assert "far" in said.sentence()
            up = {row["endpoint"]: row["up"] for row in json.loads(said.out)["endpoints"]}
            assert up == {"local": True, "far": False}
        assert home.call("models", "show", "far/qwen3").code == 7
        listed = home.call("models", "list")
        assert "does not answer" in listed.out
        assert f"local/{MODEL}" in listed.out


def test_a_key_goes_to_the_endpoint_and_nowhere_else(home: CliHome, monkeypatch):
    monkeypatch.setenv("COUNTERSIGN_MODEL_LOCAL_KEY", "sk-4711-verysecret")
    with running_shim(key="sk-4711-verysecret") as shim:
        configured(home, local=shim.url)
        assert home.call("models", "list").code == 0
        monkeypatch.setenv("COUNTERSIGN_MODEL_LOCAL_KEY", "sk-0815-wrong")
        said = home.call("models", "list", "--json")
        assert (said.code, "COUNTERSIGN_MODEL_LOCAL_KEY" in said.sentence()) == (1, True)
        assert "sk-0815" not in said.out + said.err


def test_doctor_knows_endpoints_and_the_models_that_lanes_name(home: CliHome):
    with running_shim() as shim:
        configured(home, local=shim.url, far=nobody(), claude="https://api.anthropic.com")
        config = home.root / "countersign.yaml"
        config.write_text(config.read_text() + "interpreter: {models: [local/qwen3:8b]}\n")
        with_lane(home, "far/qwen3:8b", "local/llama9:70b")
        found = rows(home, 1)
    assert {name: row["verdict"] for name, row in found.items()} == {
        "endpoint local": "ok",
        "endpoint far": "fail",
        "endpoint claude": "fail",
        "models of big": "fail",
        "models of the interpreter": "ok",
    }
    assert "Ollama 0.12.6" in found["endpoint local"]["detail"]
    assert "COUNTERSIGN_MODEL_CLAUDE_KEY" in found["endpoint claude"]["mend"]
    assert "countersign models pull local/llama9:70b" in found["models of big"]["mend"]


def test_doctor_only_warns_where_one_of_a_lanes_models_is_there(home: CliHome):
    with running_shim(models=[MODEL, "tiny"]) as shim:
        configured(home, local=shim.url)
        with_lane(home, "local/llama9:70b", "local/tiny")
        row = rows(home, 0)["models of big"]
    assert (row["verdict"], row["detail"]) == ("warn", "local/llama9:70b is not installed")


WRONG = {
    "models:\n  Local: {url: 'http://x'}\n": "models.Local: is not a plain name",
    "models:\n  local: {url: 'http://a:b@x'}\n": "models.local.url: contains more than an address",
    "models:\n  local: {url: 'http://x:99999'}\n": "models.local.url: is not an address",
    "models:\n  local: {url: 'http://:80'}\n": "models.local.url: has no host",
    "models:\n  local: {url: 'http://x', keep_alive: soon}\n": "models.local.keep_alive: ",
    "models:\n  local: {url: 'http://x', first_token_s: 0}\n": "models.local.first_token_s: ",
    "interpreter: {models: [local/qwen3]}\n": "interpreter.models[0]: no endpoint is called 'local'",
    "models:\n  a: {url: 'http://x'}\ninterpreter: {models: [a/]}\n": "'a/' does not name a model",
    "models:\n  a: {kind: gemini, url: 'http://x'}\ninterpreter: {models: [a/b]}\n": "serves agents only",
    "models:\n  a: {kind: gemini, url: 'http://x'}\ninterpreter: {models: [b]}\n": "serves agents only",
    "interpreter: {models: [qwen3]}\n": "interpreter.models[0]: no endpoint is configured",
    "classes: {irc: chat}\n": "classes.irc: is not a surface",
    "classes: {github: slow}\n": "classes.github: ",
    "agents:\n  My Agent: {program: /x}\n": "is not a plain name",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_the_configuration_says_of_models_is_checked_when_it_is_read(home: CliHome, text):
    config = home.root / "countersign.yaml"
    config.write_text(f"{config.read_text()}\n{text}")
    said = home.call("list")
    assert said.code == 2
    assert WRONG[text] in said.sentence()
    line = int(said.sentence().split("countersign.yaml:")[1].split(":")[0])
    assert line > len(config.read_text().splitlines()) - 4


def test_a_lane_that_names_an_unknown_endpoint_is_told_with_file_line_and_key(home: CliHome):
    with_lane(home, "local/qwen3:8b")
    said = home.call("list")
    assert said.code == 2
    assert f"{home.root / 'lanes' / 'big.yaml'}:5: models" in said.sentence()
    assert "no endpoint is called 'local'" in said.sentence()


def test_a_key_file_that_is_missing_matters_only_to_who_needs_it(home: CliHome):
    config = home.root / "countersign.yaml"
    config.write_text(config.read_text() + "\nmodels:\n  a: {url: 'http://127.0.0.1:9', key_file: keys/gone}\n")
    assert home.call("list").code == 0
    said = home.call("models", "list")
    assert (said.code, "keys/gone" in said.sentence()) == (2, True)


def test_a_shim_in_its_thread_is_an_ollama_for_processes():
    with running_shim() as shim:
        assert isinstance(shim, OllamaShim)
