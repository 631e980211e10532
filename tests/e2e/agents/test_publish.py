"""From a request to a published pull request, with the real agent programs at work."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from core.model.errors import Problem
from tests.counterparts import agent
from tests.fakes.models import KEY, Answer, Asked, Fault, Models, after, always, runs, serving_beside, writes
from tests.homes import CliHome
from tests.host import sandbox_here

pytestmark = [pytest.mark.lanes, pytest.mark.sandbox]
PROGRAMS = {"claude-code": "anthropic", "codex": "openai", "mini-swe-agent": "openai"}


@pytest.fixture(autouse=True)
def _needs_sandbox(monkeypatch):
    found = sandbox_here()
    if isinstance(found, Problem):
        if os.environ.get("CI") == "true":
            pytest.fail(found.message)
        pytest.skip(f"needs a sandbox: install the Debian package bubblewrap ({found.message})")
    monkeypatch.setenv("COUNTERSIGN_MODEL_FAKE_KEY", KEY)


def with_agent(home: CliHome, name: str, models: Models, **lane: object) -> None:
    """Let members of the home use an agent's lane, with `models` behind it."""
    config = home.root / "countersign.yaml"
    endpoint = {"fake": {"kind": PROGRAMS[name], "url": models.url}}
    text = f"\nmodels: {json.dumps(endpoint)}\nagents: {json.dumps({name: {'program': str(agent(name))}})}\n"
    config.write_text(config.read_text() + text)
    file = {
        "name": "agent", "describe": "an agent writes code", "write": ["src/**"], "executor": name,
        "models": ["fake/m"], "limits": {"wall_s": 90}, **lane,
    }  # fmt: skip
    (home.root / "lanes" / "agent.yaml").write_text(json.dumps(file))
    rule = "  - name: agent-changes\n    when: {lane: agent, from: [member, maintainer]}\n"
    rule += "    allow: {approvals: {count: 1, from: [maintainer]}, self_approve: false}\n"
    policy = home.root / "policy.yaml"
    policy.write_text(policy.read_text().replace("\nrules:\n", f"\nrules:\n{rule}", 1))


@pytest.fixture
def models() -> Iterator[Models]:
    with serving_beside(writes("src/new.txt", "hello\n")) as made:
        yield made


ASK = ("ask", "please add a greeting", "--lane", "agent", "--repo", "web", "--as", "ana", "--wait")


def _holds_key(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


@pytest.mark.parametrize("name", list(PROGRAMS))
def test_what_an_agent_wrote_is_staged_approved_and_published(home: CliHome, models: Models, name: str):
    with_agent(home, name, models)
    task = home.document(*ASK)
    assert task["state"] == "staged", task
    assert [file["path"] for file in task["staged"]["files"]] == ["src/new.txt"]
    assert task["making"]["executor"] == name
    assert task["making"]["usage"][0]["calls"] == len(models.asked)
    done = home.document("approve", task["number"], task["staged"]["digest"], "--as", "lee", "--wait")
    assert done["state"] == "published"
    branch = done["pull_request"]["branch"]
    assert home.git("show", f"{branch}:src/new.txt") == "hello"
    assert home.call("verify", task["number"]).code == 0
    assert models.violations == []
    assert _holds_key(home.folder) == []


def test_an_agent_that_leaves_the_lane_is_blocked(home: CliHome):
    with serving_beside(
        runs("mkdir -p .github/workflows; echo x > .github/workflows/x.yml; echo y > README.md")
    ) as models:
        with_agent(home, "codex", models)
        said = home.call(*ASK, "--json")
    assert said.json()["state"] not in ("staged", "published")
    assert home.git("branch", "--list").strip("* ") == "main"


def test_an_agent_that_changes_nothing_is_no_change(home: CliHome):
    with serving_beside(runs("true")) as models:
        with_agent(home, "codex", models)
        said = home.call(*ASK)
    assert said.code == 1
    assert "without changing a file" in said.err, said


def test_a_key_that_does_not_fit_is_told_to_who_asked(home: CliHome, monkeypatch):
    monkeypatch.setenv("COUNTERSIGN_MODEL_FAKE_KEY", "sk-other")
    with serving_beside(always(Fault("status"))) as models:
        with_agent(home, "codex", models)
        said = home.call(*ASK)
    assert said.code == 1
    assert "The model of lane agent refused the request" in said.err
    assert "sk-other" not in said.err + said.out


def test_a_worker_killed_beside_an_agent_leaves_nothing_of_it_and_both_tries_are_charged(home: CliHome):
    """kill -9 while the model thinks: the sandbox is gone, and the heir begins again with clean files."""
    mark, killed = f"6{os.getpid()}9", threading.Event()

    def script(asked: Asked) -> Answer:
        if killed.is_set():
            return runs("ls -A . src > src/new.txt")(asked)
        return after(1, runs(f"echo half > src/half.txt; (setsid sleep {mark} &)"), always(Fault("hang")))(asked)

    with serving_beside(script) as models:
        with_agent(home, "claude-code", models)
        home.quicken()
        worker = home.start(*ASK, environment={"COUNTERSIGN_MODEL_FAKE_KEY": KEY})
        wait_for(lambda: len(models.asked) == 2 and running(mark), worker)
        worker.kill()
        worker.communicate()
        wait_for(lambda: not running(mark))
        killed.set()
        time.sleep(2.5)  # the lease of the dead runs out by the clock of the database
        home.run("worker", "--drain", environment={"COUNTERSIGN_MODEL_FAKE_KEY": KEY}, timeout_s=120)
        task = home.document("show", 1)
    assert task["state"] == "staged", task
    assert [file["path"] for file in task["staged"]["files"]] == ["src/new.txt"]
    assert "half" not in home.call("show", 1, "--diff").out
    answered = len(models.asked) - 1  # one hung
    assert task["making"]["usage"][0]["calls"] == answered == 3
    with closing(sqlite3.connect(home.database)) as database:
        charged = database.execute("SELECT sum(calls), sum(input_tokens + output_tokens) FROM spending").fetchone()
    assert charged == (3, 3 * 125)


def running(mark: str) -> bool:
    """Whether a process has `mark` in its command line."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark.encode() in path.read_bytes():
                return True
        except OSError:
            pass  # it ended meanwhile
    return False


def wait_for(holds: Callable[[], bool], beside: subprocess.Popen[bytes] | None = None) -> None:
    """Wait until `holds`; fails when it never does, or when the process `beside` ended."""
    until = time.monotonic() + 90
    while not holds():
        assert time.monotonic() < until
        assert beside is None or beside.poll() is None, beside.communicate()
        time.sleep(0.05)
