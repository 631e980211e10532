"""Workflow lanes through the whole program: parameters, an approval between, and what is published in the end."""

from __future__ import annotations

import base64
import hashlib
import json
import sqlite3
import time
from contextlib import closing
from typing import Any

import pytest

from core.rules import receipt
from core.signing import Keys
from tests.contract.test_cli_lane import PARAMETERS, add
from tests.homes import CliHome

pytestmark = [pytest.mark.lanes, pytest.mark.sandbox]

TWO_PARTS = """\
name: bump
describe: bump a package, then write it down
write: ["requirements.txt", "CHANGELOG.md"]
executor: workflow
version: 2
parameters:
  package: {pattern: "[a-z]+"}
  version: {type: version, describe: the new one}
steps:
  - {name: bump, run: edit, do: "bump {package} to {version} in requirements.txt"}
  - {name: look, run: approval, do: "is {version} of {package} right?"}
  - {name: log, run: edit, do: 'add the line "- {package} {version}" to CHANGELOG.md under "Unreleased"'}
  - {name: test, run: check, command: [grep, -q, "{package}", CHANGELOG.md], needs: [log]}
"""


@pytest.fixture
def bumping(home: CliHome) -> CliHome:
    home.commit({"requirements.txt": "httpx==0.27.0\n"})
    add(home, "bump", TWO_PARTS)
    return home


def asked(home: CliHome) -> dict[str, Any]:
    return home.document("ask", "bump httpx", "--lane", "bump", *PARAMETERS, "--as", "ana", "--wait")


def approved(home: CliHome, task: dict[str, Any], *, by: str = "lee", code: int = 0) -> dict[str, Any]:
    return home.document("approve", task["number"], task["staged"]["digest"], "--as", by, "--wait", code=code)


def paths(task: dict[str, Any]) -> list[str]:
    return [file["path"] for file in task["staged"]["files"]]


def test_lanes_07_each_half_is_countersigned_and_the_whole_is_published_as_approved(bumping):
    first = asked(bumping)
    assert (first["state"], paths(first), first["revision"]) == ("staged", ["requirements.txt"], 1)
    assert first["making"]["awaits"] == "look"
    assert first["parameters"] == {"package": "httpx", "version": "0.28.1"}
    card = " ".join(bumping.call("show", 1).out.split())
    assert "waits for look by lee or max, step 2 of 4: is 0.28.1 of httpx right?" in card
    assert "{" not in card
    assert "with package=httpx, version=0.28.1" in card, "lanes.md 7"
    whole = approved(bumping, first)
    assert (whole["state"], paths(whole), whole["revision"]) == ("staged", ["CHANGELOG.md", "requirements.txt"], 2)
    assert whole["making"]["awaits"] == ""
    assert [check["passed"] for check in whole["making"]["checks"]] == [True]
    assert whole["staged"]["needs"][0]["have"] == [], "the approval of the half is none of the whole"
    assert whole["staged"]["base"] == first["staged"]["base"]
    assert bumping.document("approve", 1, first["staged"]["digest"], "--as", "max", code=5)
    published = approved(bumping, whole)
    assert published["state"] == "published"
    branch = published["pull_request"]["branch"]
    assert bumping.git("rev-parse", f"{branch}^{{tree}}") == whole["staged"]["tree"]
    assert bumping.git("show", f"{branch}:requirements.txt") == "httpx==0.28.1"
    said = receipt_of(bumping)
    assert (said["parameters"], said["decision"]["lane_version"]) == (first["parameters"], 2)
    verified_without_what_is_new(bumping, said)
    assert "waits for" not in bumping.call("show", 1).out
    kinds = [event["kind"] for event in map(_json, bumping.call("events", "--task", 1, "--json").out.splitlines())]
    assert kinds.count("task.continued") == 1
    assert "task.published" in kinds


def _json(line: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(line)
    return found


def receipt_of(home: CliHome) -> dict[str, Any]:
    envelope = json.loads(home.call("show", 1, "--receipt").out)
    found: dict[str, Any] = json.loads(base64.b64decode(envelope["payload"]))["predicate"]
    return found


def verified_without_what_is_new(home: CliHome, said: dict[str, Any]) -> None:
    """The receipt holds, and so does one as older versions signed it, without the parameters and the lane's version."""
    assert home.call("verify", 1).code == 0
    statement = json.loads(base64.b64decode(json.loads(home.call("show", 1, "--receipt").out)["payload"]))
    del statement["predicate"]["parameters"], statement["predicate"]["decision"]["lane_version"]
    del statement["predicate"]["making"]
    signed = receipt.sign(Keys(home.root / "state" / "keys"), statement)
    sha256 = hashlib.sha256(signed).hexdigest()
    kept = home.root / "state" / "artifacts" / sha256[:2] / sha256[2:]
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(signed)
    with closing(sqlite3.connect(home.database)) as database, database:
        database.execute("UPDATE artifacts SET sha256 = ? WHERE name = 'receipt.json'", (sha256,))
    assert "parameters" not in receipt_of(home)
    assert home.call("verify", 1).code == 0


def test_the_author_approves_neither_half(bumping):
    first = asked(bumping)
    assert approved(bumping, first, by="ana", code=3)["error"]["code"] == "may_not_approve"
    whole = approved(bumping, first)
    assert approved(bumping, whole, by="ana", code=3)["error"]["code"] == "may_not_approve"


def test_a_no_between_ends_it(bumping):
    first = asked(bumping)
    rejected = bumping.document("reject", first["number"], "--reason", "too new", "--as", "lee")
    assert rejected["state"] == "rejected"
    assert bumping.git("for-each-ref", "refs/heads/countersign") == ""


def test_what_fails_after_the_approval_is_tried_again_from_what_was_approved(bumping):
    first = asked(bumping)
    lane = bumping.root / "lanes" / "bump.yaml"
    lane.write_text(TWO_PARTS.replace("[grep, -q", '[grep, -q, "no such word"'))
    failed = approved(bumping, first, code=1)
    assert (failed["state"], failed["error"]["code"]) == ("failed", "check_failed")
    assert "step test" in failed["error"]["message"]
    lane.write_text(TWO_PARTS)
    again = bumping.document("reply", 1, "try again", "--as", "ana", "--wait")
    assert (again["state"], paths(again), again["revision"]) == ("staged", ["CHANGELOG.md", "requirements.txt"], 3)


def test_an_approval_that_the_file_lost_does_not_lead_on(bumping):
    first = asked(bumping)
    lane = bumping.root / "lanes" / "bump.yaml"
    lane.write_text(TWO_PARTS.replace("name: look", "name: other"))
    failed = approved(bumping, first, code=1)
    assert failed["error"]["code"] == "lane_changed"


def test_a_reply_between_makes_the_same_part_again_and_asks_again(bumping):
    first = asked(bumping)
    again = bumping.document("reply", 1, "and be quick", "--as", "ana", "--wait")
    assert (again["state"], again["making"]["awaits"], paths(again)) == ("staged", "look", ["requirements.txt"])
    assert again["staged"]["digest"] == first["staged"]["digest"]
    whole = approved(bumping, again)
    later = bumping.document("reply", 1, "and be quicker", "--as", "ana", "--wait")
    assert (later["making"]["awaits"], paths(later)) == ("", paths(whole))


def test_what_was_picked_of_a_half_still_awaits_its_approval(bumping):
    asked(bumping)
    picked = bumping.document("pick", 1, "1", "--as", "lee", "--wait")
    assert (picked["state"], picked["making"]["awaits"]) == ("staged", "look")
    approved(bumping, picked, code=3)
    whole = approved(bumping, picked, by="max")
    assert paths(whole) == ["CHANGELOG.md", "requirements.txt"]


def test_a_missing_parameter_is_asked_for_where_nobody_could_be_told(bumping):
    """As from a chat or a schedule: the service takes the request in, and the task asks."""
    import asyncio

    from bot.configuration.home import Home
    from bot.wiring.app import opened
    from core.model.turn import Actor
    from core.services.requests import NewRequest

    async def ask() -> int:
        async with opened(Home(bumping.root)) as app:
            request = NewRequest(
                text="bump it", actor=Actor("ana", "terminal"), lane="bump", parameters={"version": "1.0"}
            )
            return await app.requests.ask(request)

    number = asyncio.run(ask())
    assert bumping.call("worker", "--drain").code == 0
    task = bumping.document("show", number)
    assert (task["state"], task["question"]["about"]) == ("asking", "parameter package")
    wrong = bumping.document("reply", number, "Not One", "--as", "ana", "--wait", code=1)
    assert (wrong["state"], wrong["question"]["about"]) == ("asking", "parameter package")
    assert "does not match" in wrong["question"]["text"]
    told = bumping.document("reply", number, "httpx", "--as", "ana", "--wait")
    assert (told["state"], told["parameters"]) == ("staged", {"package": "httpx", "version": "1.0"})


def test_an_undo_of_a_workflow_needs_no_parameters_and_no_steps(bumping):
    published = approved(bumping, approved(bumping, asked(bumping)))
    assert published["state"] == "published"
    assert bumping.document("merge", 1)["state"] == "merged"
    undone = bumping.document("undo", 1, "--as", "bo", "--wait")
    assert (undone["state"], paths(undone), undone["making"]["awaits"]) == (
        "staged",
        ["CHANGELOG.md", "requirements.txt"],
        "",
    )


CHORES = {
    "dependency-bump": ({"package": "httpx", "version": "0.28.1"}, ["requirements.txt"]),
    "format": ({}, ["src/b.py"]),
    "licence-header": ({"line": "SPDX-License-Identifier: MIT", "ending": ".js"}, ["src/c.js"]),
    "revert": ({}, ["src/bad.py"]),
}


def test_lanes_made_of_templates_are_sound_in_a_home_and_do_their_chore(home):
    home.commit({"requirements.txt": "httpx==0.27.0\n", "src/b.py": "x = 1  \n", "src/c.js": "let x\n"})
    CHORES["revert"][0]["commit"] = home.commit({"src/bad.py": "oops\n"})
    for name in home.document("lane", "search"):
        if name["where"] == "template":
            rule = home.document("lane", "new", f"my-{name['name']}", "--template", name["name"])["missing_rule"]
            policy = home.root / "policy.yaml"
            policy.write_text(policy.read_text().replace("\nrules:\n", f"\nrules:\n{rule}", 1))
    assert len(home.document("lane", "check")["lanes"]) == 11 + 3
    for name, (values, expected) in CHORES.items():
        said = [word for key, value in values.items() for word in ("--set", f"{key}={value}")]
        task = home.document("ask", "as usual", "--lane", f"my-{name}", "--repo", "web", *said, "--as", "ana", "--wait")
        assert (task["state"], paths(task)) == ("staged", expected), name


SLOW = """\
name: slow
describe: two steps
write: ["**"]
executor: workflow
steps:
  - {name: one, run: command, command: [sh, -c, "head -c 8 /dev/urandom | od -An -tx1 >token; echo a token"]}
  - {name: two, run: command, needs: [one], command: [sh, -c, "sleep 4; touch done"]}
"""


def _journaled(home: CliHome) -> list[str]:
    """The trees of step one that are in the journal."""
    with closing(sqlite3.connect(home.database)) as database:
        rows = database.execute("SELECT body FROM journal WHERE part LIKE '%one:made'").fetchall()
    return [json.loads(body)["tree"] for (body,) in rows]


def test_a_killed_worker_leaves_its_finished_steps_to_the_next(home):
    add(home, "slow", SLOW)
    home.quicken()
    number = home.document("ask", "slow", "--lane", "slow", "--as", "ana")["number"]
    worker = home.start("worker", "--drain")
    until = time.monotonic() + 60
    while not (made := _journaled(home)):
        assert time.monotonic() < until, "step one was never finished"
        time.sleep(0.05)
    worker.kill()
    worker.communicate()
    assert home.run("worker", "--drain", timeout_s=120).code == 0
    task = home.document("show", number)
    assert (task["state"], paths(task)) == ("staged", ["done", "token"])
    assert _journaled(home) == made or _journaled(home) == [], "a journal is dropped once its job is over"
    said = home.call("show", number, "--transcript").out
    assert "one: finished by an earlier worker\n" in said
    assert "a token" in said, "what the dead worker's step said is kept with the task"
    assert "one.command.log" in {artifact["name"] for artifact in task["artifacts"]}
