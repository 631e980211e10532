"""A request in any words, read and done by a model of a real llama.cpp: from the sentence to the pull request.

The weights alone are ours. The engine fills its template, makes tokens, samples, holds answers to a grammar and streams
them, and the real program does the rest; the lane's check runs in its sandbox.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.model.errors import Problem
from tests.fakes.engine import CHATML, Endless, Engine, calls, running_engine, write_model
from tests.homes import CliHome
from tests.host import sandbox_here

pytestmark = [pytest.mark.lanes, pytest.mark.sandbox]

ASK = "please greet people in the readme"
DONE = "The readme greets people now."
READING = {"reading": "work", "sure": True, "lane": "code", "edits": [], "question": "", "options": []}
TURNS = [
    (*calls("read_file", path="README.md"), json.dumps(READING)),
    calls("edit_file", path="README.md", old="A small site.", new="A small site. Welcome!"),
    calls("run_check", name="greets"),
    calls("finish", summary=DONE),
]
CHECK = '[{name: greets, command: ["grep", "-q", "Welcome!", "README.md"], required: true}]'


@pytest.fixture(autouse=True)
def _needs_sandbox() -> None:
    found = sandbox_here()
    if isinstance(found, Problem):
        if os.environ.get("CI") == "true":
            pytest.fail(found.message)
        pytest.skip(f"needs a sandbox: install the Debian package bubblewrap ({found.message})")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The engine, with a model that calls tools."""
    write_model(file := tmp_path_factory.mktemp("engine") / "coder.gguf", TURNS)
    with running_engine(file) as running:
        yield running


def with_model(home: CliHome, engine: Engine) -> str:
    """Let the engine's model read requests, and work in a lane; its name."""
    name = f"llama/{engine.name}"
    config = home.root / "countersign.yaml"
    models = f"models:\n  llama: {{kind: openai, url: {engine.url!r}, context_tokens: 131072}}\n"
    config.write_text(f"{config.read_text()}\n{models}interpreter: {{models: [{name}], patience_s: 600}}\n")
    (home.root / "lanes" / "code.yaml").write_text(
        f'name: code\ndescribe: any file\nwrite: ["**"]\nexecutor: ollama\nmodels: [{name}]\nchecks: {CHECK}\n'
    )
    return name


def test_a_sentence_of_any_wording_becomes_a_pull_request(home: CliHome, engine: Engine):
    name = with_model(home, engine)
    task = home.run("ask", ASK, "--repo", "web", "--as", "ana", "--wait", "--json").json()
    assert (task["state"], task["lane"], task["read_by"]) == ("staged", "code", name)
    assert task["model"] == {"name": name, "words": DONE}
    assert [file["path"] for file in task["staged"]["files"]] == ["README.md"]
    (spent,) = task["making"]["usage"]
    assert (spent["model"], spent["calls"]) == (name, 4)
    assert spent["input_tokens"] > 4 * spent["output_tokens"] > 0
    done = home.document("approve", task["number"], task["staged"]["digest"], "--as", "lee", "--wait")
    assert done["state"] == "published"
    (branch,) = home.git("for-each-ref", "--format=%(refname)", "refs/heads/countersign").splitlines()
    assert home.git("show", f"{branch}:README.md").endswith("A small site. Welcome!")
    assert home.call("verify", task["number"]).code == 0


def test_its_model_is_listed_and_found_by_the_doctor(home: CliHome, engine: Engine):
    name = with_model(home, engine)
    (endpoint,) = home.document("models", "list")["endpoints"]
    assert (endpoint["up"], [model["name"] for model in endpoint["models"]]) == (True, [name])
    rows = {row["name"]: row for row in home.document("doctor")["checks"]}
    found = [rows[row]["verdict"] for row in ("endpoint llama", "models of code", "models of the interpreter")]
    assert found == ["ok", "ok", "ok"]


def test_a_model_without_tools_does_the_same_by_answering_with_json(home: CliHome, tmp_path: Path):
    write_model(older := tmp_path / "older.gguf", TURNS, CHATML)
    with running_engine(older) as engine:
        name = with_model(home, engine)
        task = home.staged(ASK)
        assert engine.asked == 1 + 1 + 4, "the reading, once with tools, and the work"
    assert task["model"] == {"name": name, "words": DONE}
    assert [file["path"] for file in task["staged"]["files"]] == ["README.md"]


def test_after_kill_9_of_worker_and_engine_only_what_was_not_answered_is_asked(home: CliHome, tmp_path: Path):
    """The first engine does not come to an end of its third answer; the second, in its place, has one."""
    write_model(first := tmp_path / "first.gguf", [*TURNS[:2], (Endless("Let me think about that. "),)])
    write_model(second := tmp_path / "second.gguf", TURNS)
    with running_engine(first) as engine:
        with_model(home, engine)
        home.quicken()
        worker = home.start("ask", ASK, "--repo", "web", "--as", "ana", "--wait")
        until = time.monotonic() + 180
        while engine.asked < 4:
            assert time.monotonic() < until, (home.document("show", 1), engine.log.read_text(errors="replace")[-4000:])
            time.sleep(0.01)
        worker.kill()
        engine.kill()
        worker.communicate()
        port = engine.port
    with running_engine(second, port=port) as heir:
        until = time.monotonic() + 180
        while (task := home.document("show", 1))["state"] != "staged":  # its lease runs out, then its job waits a while
            assert time.monotonic() < until, task["state"]
            assert home.call("worker", "--drain").code == 0
        assert heir.asked == 2
    assert task["making"]["usage"][0]["calls"] == 4
