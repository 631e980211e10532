"""The simulator on the command line: its documents, exit codes and sentences."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from core.simulator.policies import POLICIES, run_policy
from core.simulator.trace import read_trace, write_trace
from tests.homes import CliHome
from tests.unit.simulator.worlds import cluster, request

pytestmark = pytest.mark.queue

HEADER = "arrival_s,model,prompt_tokens,output_tokens,tenant,class,deadline_s\n"


@pytest.fixture
def nowhere(tmp_path: Path) -> CliHome:
    """A command line without a home: the folder that it is told does not exist."""
    return CliHome(tmp_path)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "trace.csv"
    rows = (f"{second * 9},{('qwen3:8b', 'coder:30b')[second % 2]},900,120,t{second % 3},chat," for second in range(60))
    path.write_text(HEADER + "\n".join(rows) + "\n")
    return path


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """An exported history that took exactly what the simulation of one endpoint of 48 GB says."""
    requests = [replace(request(20.0 * number, "ab"[number % 2], 0), lane="code", work_s=5.0) for number in range(60)]
    models = {"a": 10, "b": 20}
    outcome = run_policy("countersign", cluster(sizes_gb=models), requests)
    done = [replace(each, finish_s=finish_s) for each, finish_s in zip(requests, outcome.finish_s, strict=True)]
    path = tmp_path / "history.csv"
    path.write_text(write_trace(done))
    (tmp_path / "models.csv").write_text("name,size_gb,load_s\na,10,10\nb,20,20\n")
    return path


def test_the_line_of_the_contract_works_without_run_and_without_a_home(nowhere, trace):
    words = ("--trace", trace, "--policy", "countersign", "--nodes", "2x48GB", "--seed", 7, "--load", 0.5, "--json")
    short, long = nowhere.call("sim", *words), nowhere.call("sim", "run", *words)
    assert short.code == long.code == 0, short
    assert short.out == long.out
    document = short.json()
    assert not nowhere.root.exists()
    assert (document["requests"], document["load"], document["seed"]) == (60, 0.5, 7)
    assert [each["name"] for each in document["nodes"]] == ["gpu1", "gpu2"]
    assert {each["name"]: each["assumed"] for each in document["models"]} == {"coder:30b": True, "qwen3:8b": True}
    (result,) = document["results"]
    assert result["policy"] == "countersign"
    assert {"mean_s", "p50_s", "p95_s", "p99_s", "chat_p95_s", "loads", "swap_share", "starved", "jain"} <= set(result)
    assert sum(each["arrived"] for each in result["windows"]) == 60
    assert {each["state"] for each in result["windows"]} <= {"stable", "backlogged", "overloaded"}


@pytest.mark.parametrize(("columns", "heads"), [(100, 10), (80, 7)])
def test_the_real_console_script_prints_a_plain_table_and_no_progress_to_a_pipe(home: CliHome, trace, columns, heads):
    environment = {"COLUMNS": str(columns)}
    said = home.run("sim", "run", "--trace", str(trace), "--policy", "all", environment=environment)
    assert (said.code, said.err) == (0, "")
    assert "\x1b" not in said.out
    rows = [line for line in said.out.splitlines() if line.split() and line.split()[0] in POLICIES]
    assert [row.split()[0] for row in rows] == [*POLICIES]
    assert all(re.search(r" \d+/\d+/\d+$", row) for row in rows)
    head = next(line for line in said.out.splitlines() if "loads" in line)
    assert len(head.replace("chat p95", "chat").split()) == heads
    assert max(map(len, said.out.splitlines())) <= columns
    note = "Assumed sizes: coder:30b 19 GB, qwen3:8b 5.8 GB. Describe them with --models FILE."
    assert note in " ".join(said.out.split())


@pytest.mark.parametrize("workload", ["eight", "bursty"])
def test_a_generated_workload_is_the_same_for_the_same_seed(nowhere, workload):
    words = ("sim", "run", "--workload", workload, "--requests", 200, "--policy", "zero-swap-fifo", "--json", "--seed")
    first, same, other = (nowhere.call(*words, seed) for seed in (1, 1, 2))
    assert first.out == same.out
    assert first.json()["results"] != other.json()["results"]


class Page(HTMLParser):
    """What a page holds: text, elements, and addresses that it would load from."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]


def test_the_page_stands_alone_and_has_a_table_beside_every_plot(nowhere, trace, tmp_path):
    evil = tmp_path / "<script>x.csv"
    evil.write_text(trace.read_text().replace("coder:30b", "<b>&model"))
    page = tmp_path / "report.html"
    said = nowhere.call("sim", "run", "--trace", evil, "--policy", "all", "--html", page)
    assert said.code == 0, said
    assert str(page) in said.out
    parsed, text = Page(), page.read_text(encoding="utf-8")
    parsed.feed(text)
    assert "script" not in parsed.tags
    assert "b" not in parsed.tags
    assert parsed.addresses == []
    assert "://" not in text
    assert "nan" not in re.sub(r"[<>]", " ", text).lower().split()
    assert parsed.tags.count("figure") == 2 + 7, "times, queue, and the memory under each real policy"
    assert parsed.tags.count("table") >= parsed.tags.count("figure")
    assert 'name="viewport"' in text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--policy", "magic"), "There is no policy 'magic'. Known: countersign, ollama"),
        (("--nodes", "a=24GB,a=48GB"), "The endpoint a is named twice"),
        (("--nodes", "fast"), "'fast' is not an endpoint"),
        (("--nodes", "8GB"), "The model coder:30b needs 19456 MiB, but the largest endpoint has 8192 MiB"),
        (("--load", "0"), "The load is 0.0. Give a number above 0"),
        (("--contention", "1"), "The contention is 1.0"),
        (("--weights", "negative.json"), "The weight chat is -1.0, but weights are 0 or more"),
        (("--weights", "none.json"), "none.json: No such file"),
        (("--models", "bad.csv"), "bad.csv:2: size_gb: 'big' is not a number"),
        (("--workload", "eight"), "needs a trace or a workload, and not both"),
        (("--html", "no/such/folder.html"), "cannot be written. Name a file in a folder"),
    ],
)
def test_what_cannot_be_simulated_is_said_in_one_sentence_and_writes_nothing(
    nowhere, trace, tmp_path, monkeypatch, words, sentence
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "negative.json").write_text('{"chat": -1}')
    (tmp_path / "bad.csv").write_text("name,size_gb\na,big\n")
    before = sorted(tmp_path.rglob("*"))
    said = nowhere.call("sim", "run", "--trace", trace, "--html", "report.html", *words, "--json")
    assert said.code == 2, said
    assert sentence in said.err
    assert said.err.count("\n") == 1
    assert said.json()["error"]["kind"] == "usage"
    assert sorted(tmp_path.rglob("*")) == before


def test_a_malformed_trace_is_named_with_its_line(nowhere, tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text(HEADER + "0,a,1,1,,chat,\n1,a,many,1,,chat,\n")
    said = nowhere.call("sim", "--trace", path)
    assert (said.code, said.out) == (2, "")
    assert "bad.csv:3 has 'many' for prompt_tokens; write a number" in said.err


def test_weights_change_what_countersign_decides(nowhere, tmp_path):
    path = tmp_path / "w.json"
    path.write_text(json.dumps({"weights": {"hysteresis": 0, "promise_s": 10}}))
    words = ("sim", "run", "--workload", "bursty", "--requests", 300, "--policy", "countersign", "--json")
    usual, changed = nowhere.call(*words).json(), nowhere.call(*words, "--weights", path).json()
    assert changed["weights"]["hysteresis"] == 0
    assert usual["results"][0]["mean_s"] != changed["results"][0]["mean_s"]


def test_a_history_that_the_simulation_agrees_with_is_calibrated(nowhere, history, tmp_path):
    words = ("--trace", history, "--nodes", "48GB", "--models", tmp_path / "models.csv")
    said = nowhere.call("sim", "calibrate", *words)
    assert said.code == 0, said
    assert "agrees with what happened within 15%" in said.out
    document = nowhere.call("sim", "calibrate", *words, "--json").json()
    assert document["calibrated"]
    assert [(lane["lane"], lane["requests"], lane["error"]) for lane in document["lanes"]] == [("code", 60, 0.0)]


def test_a_simulation_that_is_off_gives_no_advice(nowhere, history):
    said = nowhere.call(
        "sim", "calibrate", "--trace", history, "--nodes", "15GB", "--models", history.parent / "none.csv"
    )
    assert said.code == 2
    models = history.parent / "slow.csv"
    models.write_text("name,size_gb,load_s\na,10,500\nb,20,500\n")
    words = ("--trace", history, "--models", models)
    said = nowhere.call("sim", "calibrate", *words, "--nodes", "20GB", "--json")
    assert said.code == 1
    assert said.json()["error"]["code"] == "not_calibrated"
    assert re.search(r"The simulation of lane code is off by \d+%, more than 15%, so it gives no advice", said.err)
    refused = nowhere.call("sim", "replay", *words, "--today", "20GB", "--nodes", "2x20GB")
    assert (refused.code, refused.out) == (1, "")
    anyway = nowhere.call("sim", "replay", *words, "--today", "20GB", "--nodes", "2x20GB", "--uncalibrated")
    assert anyway.code == 0
    assert "This is no advice" in anyway.out


def test_a_replay_answers_what_if(nowhere, history, tmp_path):
    words = ("sim", "replay", "--trace", history, "--today", "48GB", "--models", tmp_path / "models.csv", "--json")
    document = nowhere.call(*words, "--nodes", "2x48GB", "--without", "a=b").json()
    today, what_if = document["results"]
    assert (today["label"], what_if["label"]) == ("today", "what if")
    assert document["calibration"]["calibrated"]
    assert (today["loads"], what_if["loads"]) == (2, 1)
    assert [each["name"] for each in document["models"]] == ["b"]
    less = nowhere.call(*words, "--without", "a").json()
    assert less["results"][1]["requests"] == 30
    said = nowhere.call(*words, "--without", "c")
    assert said.code == 2
    assert "No request names the model 'c'. Known: a, b." in said.err


def test_a_trace_that_says_nothing_of_what_happened_cannot_be_calibrated(nowhere, trace):
    said = nowhere.call("sim", "calibrate", "--trace", trace, "--nodes", "48GB")
    assert said.code == 2
    assert "does not say when its requests finished" in said.err


def test_a_home_without_work_of_models_has_no_history(home: CliHome, tmp_path):
    out = tmp_path / "trace.csv"
    for words in (("observe", "--output", out), ("calibrate", "--nodes", "48GB"), ("replay", "--today", "48GB")):
        said = home.call("sim", *words)
        assert said.code == 6, said
        assert "No finished work has asked a model yet" in said.sentence()
    assert not out.exists()


def test_what_happened_in_a_home_is_exported_and_simulated(home: CliHome, tmp_path):
    home.staged()
    with closing(sqlite3.connect(home.database)) as database, database:
        database.execute(
            "INSERT INTO spending SELECT id, '', '1', 'local/qwen3:8b', number, 'config', person, 1, 300, 40, NULL, 0 "
            "FROM jobs WHERE kind = 'change'"
        )
        database.execute("UPDATE jobs SET ready_ms = 1000, claimed_ms = 3000, finished_ms = 9000")
    out = tmp_path / "history.csv"
    said = home.call("sim", "observe", "--output", out)
    assert (said.code, said.out) == (0, f"1 requests are in {out}.\n")
    assert out.read_text() == home.call("sim", "observe").out
    (row,) = csv.DictReader(io.StringIO(out.read_text()))
    assert row == {
        "arrival_s": "0.000", "model": "qwen3:8b", "prompt_tokens": "300", "output_tokens": "40", "tenant": "ana",
        "class": "bulk", "deadline_s": "", "lane": "config", "work_s": "6.000", "start_s": "2.000", "finish_s": "8.000",
    }  # fmt: skip
    document = home.document("sim", "observe")
    assert (document["requests"], document["lanes"], document["models"]) == (1, {"config": 1}, {"qwen3:8b": 1})
    assert home.document("sim", "run", "--trace", out)["requests"] == 1
    few = home.call("sim", "calibrate", "--nodes", "48GB")
    assert few.code == 1
    assert "No lane has enough finished requests" in few.err
    assert home.call("sim", "observe", "--since", "1d").code == 6


def test_tuning_says_what_it_found_and_keeps_the_old_ones_unless_others_are_better(nowhere, tmp_path):
    pytest.importorskip("cma", reason="needs the library cma: make env")
    path = tmp_path / "w.json"
    words = (
        "sim",
        "tune",
        "--workload",
        "eight",
        "--requests",
        60,
        "--seeds",
        1,
        "--evaluations",
        10,
        "--output",
        path,
    )
    said = nowhere.call(*words)
    assert said.code == 0, said
    assert "old" in said.out
    assert ("Keep the old ones" in said.out) == (not path.exists())
    document = nowhere.call(*words, "--json").json()
    assert document["is_better"] == path.exists()
    assert set(document["scores"]) == {"old", "random", "tuned"}
    assert document["scores"]["old"]["held_out"] == 1.0
    if path.exists():
        assert json.loads(path.read_text())["weights"] == document["weights"]


def test_what_is_observed_can_be_replayed(tmp_path, history):
    """The export is a trace like any other: reading and writing it changes nothing."""
    assert write_trace(read_trace(history)) == history.read_text()
