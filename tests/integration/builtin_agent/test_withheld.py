"""Texts withheld from models: files of secrets, and files and logs that contain one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.model.lane import LaneCheck
from tests.integration.builtin_agent.conftest import Scripted, call, results_in

pytestmark = pytest.mark.lanes
TOKEN = "ghp_" + "Zk81mQpX4vTn7RbW2yLc9HdJ6sFg3AeU0oNi"
DONE = call("finish", summary="done")
SECRETS = {
    ".env": "PASSWORD=hunter2\n",
    ".envrc": "export PASSWORD=hunter2\n",
    "deploy/.env.production": "PASSWORD=hunter2\n",
    "keys/site.pem": "hunter2\n",
    "keys/id_ed25519": "hunter2\n",
    ".ssh/config": "hunter2\n",
    "config/secrets.yaml": "password: hunter2\n",
    "src/Credentials.json": "hunter2\n",
    "src/token.py": f"TOKEN = '{TOKEN}'  # hunter2\n",
}
PLAIN = {".env.example": "PASSWORD=\n", "keys/id_ed25519.pub": "ssh-ed25519 AAAA\n", "docs/secrets.md": "keep them\n"}


async def worked(runner, repo, files, *calls, **lane):
    order = await runner.order(lane=lane)
    start = await repo.write_tree(order.start, {path: text.encode() for path, text in files.items()}, [], {})
    model = Scripted([*calls, DONE])
    made = await runner.executor(model).produce(replace(order, start=start), repo)
    return model, made


async def test_files_of_secrets_are_not_read_searched_or_quoted(runner, repo):
    reads = [call("read_file", path=path) for path in SECRETS]
    edits = [call("edit_file", path="src/token.py", old="TOKEN = 'x'", new="TOKEN = ''")]
    model, made = await worked(runner, repo, SECRETS, reads, edits, call("search", text="hunter2"))
    told = results_in(model.asked[-1].messages)
    assert all("is withheld from models" in words for words in told[: len(reads) + 1]), told
    assert told[-1] == f"… and in {len(SECRETS)} files that are withheld from models because they contain secrets."
    shown = "\n".join(message.text for ask in model.asked for message in ask.messages)
    assert "PASSWORD" not in shown
    assert TOKEN not in shown
    assert TOKEN.encode() not in made.artifacts["transcript.jsonl"]


async def test_what_only_looks_like_one_is_shown(runner, repo):
    model, _ = await worked(runner, repo, PLAIN, [call("read_file", path=path) for path in PLAIN])
    assert not [words for words in results_in(model.asked[-1].messages) if "withheld from models" in words]


async def test_a_lane_that_names_the_very_file_shows_it(runner, repo):
    write = ("/.env", "src/token.py", "docs/**")
    reads = [call("read_file", path=path) for path in (".env", "src/token.py", "keys/site.pem")]
    model, _ = await worked(runner, repo, SECRETS, reads, write=write)
    told = results_in(model.asked[-1].messages)
    assert "PASSWORD=hunter2" in told[0]
    assert TOKEN in told[1]
    assert "is withheld from models" in told[2]


async def test_a_withheld_file_may_be_overwritten_unread_where_the_lane_writes(runner, repo):
    _, made = await worked(runner, repo, SECRETS, call("write_file", path="src/token.py", text="TOKEN = None\n"))
    assert (await runner.files(made.tree))["src/token.py"] == "TOKEN = None\n"


@pytest.mark.sandbox
async def test_a_check_that_prints_a_secret_is_not_quoted(runner, repo):
    prints = LaneCheck("tests", ("sh", "-c", f"echo {TOKEN}; exit 1"))
    again = [[call("run_check", name="tests"), call("write_file", path="docs/a.md", text="a\n")], DONE]
    model, made = await worked(runner, repo, {}, *again, checks=(prints,), retries=1)
    shown = "\n".join(message.text for ask in model.asked for message in ask.messages)
    assert TOKEN not in shown
    assert shown.count("Its output contains a secret and is withheld from models.") >= 2
    assert made.provenance.tries == 2
