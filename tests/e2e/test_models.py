"""A request in any words, done by a model of an Ollama: from the sentence to the pull request, by the real program."""

from __future__ import annotations

import time

import pytest

from tests.fakes.ollama import Call, Hang, Script, running_shim

pytestmark = pytest.mark.lanes

ASK = "please greet people in the readme"
EDIT = Call("edit_file", path="README.md", old="A small site.", new="A small site. Welcome!")
DONE = Call("finish", summary="The readme greets people now.")


def with_model(home, url, lane=""):
    config = home.root / "countersign.yaml"
    config.write_text(
        config.read_text() + f"\nmodels:\n  local: {{url: {url!r}, first_token_s: 5, between_tokens_s: 5}}\n"
    )
    (home.root / "lanes" / "code.yaml").write_text(
        f'name: code\ndescribe: any file\nwrite: ["**"]\nexecutor: ollama\nmodels: ["local/qwen3:8b"]\n{lane}'
    )
    return home


def test_a_sentence_of_any_wording_becomes_a_pull_request(home):
    with running_shim(Script(Call("read_file", path="README.md"), EDIT, DONE)) as shim:
        with_model(home, shim.url)
        task = home.staged(ASK)
        assert (task["lane"], [file["path"] for file in task["staged"]["files"]]) == ("code", ["README.md"])
        assert task["model"] == {"name": "local/qwen3:8b", "words": "The readme greets people now."}
        assert task["making"]["usage"][0]["calls"] == 3
        assert "transcript.jsonl" in {kept["name"] for kept in task["artifacts"]}
        done = home.document("approve", task["number"], task["staged"]["digest"], "--as", "lee", "--wait")
    assert done["state"] == "published"
    assert home.call("verify", task["number"]).code == 0


def test_a_worker_killed_in_the_middle_of_the_talk_is_gone_on_for_without_asking_again(home):
    """kill -9 while the model answers its third question: the heir asks that one, and none before it."""
    with running_shim(Script(Call("read_file", path="README.md"), EDIT, Hang(), DONE)) as shim:
        with_model(home, shim.url)
        home.quicken()
        worker = home.start("ask", ASK, "--as", "ana", "--wait")
        until = time.monotonic() + 60
        while len(shim.requests) < 3:
            assert time.monotonic() < until, worker.poll()
            time.sleep(0.05)
        worker.kill()
        worker.communicate()
        time.sleep(2.5)  # the lease of the dead runs out by the clock of the database
        home.run("worker", "--drain", timeout_s=120)
        task = home.document("show", 1)
        talks = [request.messages for request in shim.requests]
    assert task["state"] == "staged"
    assert len(talks) == 4
    assert [len(talk) for talk in talks] == [2, 4, 6, 6]
    assert task["making"]["usage"][0]["calls"] == 3


def test_a_model_is_not_shown_the_secrets_of_the_repository(home):
    token = "ghp_" + "Zk81mQpX4vTn7RbW2yLc9HdJ6sFg3AeU0oNi"
    home.commit({".env": "PASSWORD=hunter2\n", "src/token.py": f"TOKEN = {token!r}\n"})
    reads = [Call("read_file", path=".env"), Call("read_file", path="src/token.py"), Call("search", text="TOKEN")]
    with running_shim(Script(*reads, EDIT, DONE)) as shim:
        with_model(home, shim.url).staged(ASK)
        told = "\n".join(request.text for request in shim.requests)
    assert told.count("is withheld from models") >= 2
    assert token not in told
    assert "hunter2" not in told


def test_a_model_cannot_leave_its_lane(home):
    with running_shim(
        Script(Call("write_file", path=".github/workflows/ci.yml", text="on: pull_request\n"), DONE)
    ) as shim:
        with_model(home, shim.url)
        task = home.document("ask", "make the checks run on pull requests", "--as", "ana", "--wait", code=1)
    assert task["state"] == "failed", "its tool was refused, so it changed nothing"
    assert task["error"]["code"] == "no_change"
    assert task["staged"] is None


def test_a_model_that_does_not_answer_is_asked_again_and_its_finished_turns_are_not(home):
    with running_shim(Script(EDIT, Hang(), DONE)) as shim:
        with_model(home, shim.url)
        config = home.root / "countersign.yaml"
        config.write_text(config.read_text().replace("first_token_s: 5", "first_token_s: 1"))
        task = home.staged(ASK)
        assert len(shim.requests) == 3
    assert [file["path"] for file in task["staged"]["files"]] == ["README.md"]
    assert task["making"]["usage"][0]["calls"] == 2


@pytest.mark.parametrize("lane", ["models: []\n"])
def test_without_a_model_the_request_is_not_understood_and_says_what_would_be(home, lane):
    (home.root / "lanes" / "code.yaml").write_text(
        f'name: code\ndescribe: any file\nwrite: ["**"]\nexecutor: ollama\n{lane}'
    )
    task = home.document("ask", ASK, "--as", "ana", "--wait", code=1)
    assert task["state"] == "asking"
    assert "set KEY to VALUE in FILE" in task["question"]["text"]
