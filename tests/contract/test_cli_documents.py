"""What `--json` prints is what `countersign schema` and contract.md say, at every station of a task's life."""

from __future__ import annotations

import base64
import json
from typing import Any, cast

import pytest

from tests.contract.conftest import Holds
from tests.contract.shapes import faults
from tests.homes import CliHome

KEYS = {
    *("number", "state", "repo", "requester", "title", "lane", "rule", "reason", "revision", "queue", "staged"),
    *("approvals", "pull_request", "turns", "artifacts", "error"),
}
"""The keys of the task document that contract.md fixes."""
STATES = {
    "received",
    "asking",
    "queued",
    "running",
    "staged",
    "approved",
    "published",
    "merged",
    "refused",
    "rejected",
    "expired",
    "failed",
    "cancelled",
    "closed",
}


def test_the_schema_of_a_task_has_every_key_and_state_of_the_contract(schemas):
    task = schemas["task"]
    assert set(task["required"]) >= KEYS
    assert set(task["properties"]["state"]["enum"]) == STATES


def test_a_document_that_lacks_a_key_or_has_a_wrong_type_is_found():
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]}
    assert faults({"n": 1}, schema) == []
    assert faults({}, schema)
    assert faults({"n": True}, schema)
    assert faults({"n": 0}, schema)


def test_every_station_of_a_task_prints_a_valid_document(home: CliHome, holds: Holds):
    asked = home.document("ask", "set server.timeout to 30 in config/app.yaml", "--as", "ana")
    holds("task", asked)
    assert asked["state"] == "received"
    assert asked["queue"]["position"] == 1
    assert home.call("worker", "--drain").code == 0
    staged = home.document("show", 1)
    holds("task", staged)
    assert staged["state"] == "staged"
    assert staged["staged"]["files"] == [
        {"path": "config/app.yaml", "status": "M", "added": 1, "removed": 1, "old_mode": "100644", "mode": "100644"}
    ]
    assert [need["of"] for need in staged["staged"]["needs"]] == [["lee", "max"]]
    assert {finding["verdict"] for finding in staged["staged"]["guard"]} == {"pass"}
    replied = home.document("reply", 1, "set server.host to b in config/app.yaml", "--as", "ana", "--wait")
    holds("task", replied)
    assert (replied["state"], replied["revision"], len(replied["turns"])) == ("staged", 2, 2)
    approved = home.document("approve", 1, replied["staged"]["digest"][:20], "--as", "lee")
    holds("task", approved)
    assert approved["state"] == "approved"
    assert [said["person"] for said in approved["approvals"]] == ["lee"]
    assert home.call("worker", "--drain").code == 0
    published = home.document("show", 1)
    holds("task", published)
    assert published["pull_request"]["branch"].startswith("countersign/1-")
    merged = home.document("merge", 1, "--as", "lee")
    holds("task", merged)
    assert (merged["state"], merged["pull_request"]["state"]) == ("merged", "merged")
    undone = home.document("undo", 1, "--as", "ana", "--wait")
    holds("task", undone)
    assert (undone["number"], undone["state"]) == (2, "staged")


@pytest.mark.parametrize(
    ("words", "state", "code"),
    [
        (("ask", "make me a sandwich", "--wait"), "asking", 1),
        (("ask", "set server.timeout to 10 in config/app.yaml", "--wait"), "failed", 1),
        (("ask", "delete .github/workflows/ci.yml", "--wait"), "refused", 3),
        (("ask", "set a to 1 in config/none.yaml", "--wait"), "failed", 6),
        (("ask", 'add the line "ghp_0123456789abcdefghijABCDEFGHIJ012345" to README.md', "--wait"), "refused", 4),
    ],
)
def test_a_task_that_ends_in_an_error_prints_it_in_its_document_and_on_stderr(home, holds, words, state, code):
    said = home.call(*words, "--as", "ana", "--json")
    holds("task", said.json())
    assert (said.code, said.json()["state"]) == (code, state), said
    assert said.json()["error"]["message"].rstrip(".") in said.sentence()


def test_rejected_cancelled_and_closed_tasks_print_valid_documents(home: CliHome, holds: Holds):
    home.staged()
    rejected = home.document("reject", 1, "--reason", "not now", "--as", "lee")
    home.staged("set server.timeout to 31 in config/app.yaml")
    cancelled = home.document("cancel", 2, "--as", "ana")
    home.published("set server.timeout to 32 in config/app.yaml")
    closed = home.document("undo", 3, "--as", "ana", "--wait")
    for document in (rejected, cancelled, closed):
        holds("task", document)
    assert [d["state"] for d in (rejected, cancelled, closed)] == ["rejected", "cancelled", "closed"]
    assert "not now" in rejected["error"]["message"]


def test_events_and_receipts_are_as_their_schemas_say(home: CliHome, holds: Holds):
    home.published()
    lines = home.call("events", "--json").out.splitlines()
    events = [json.loads(line) for line in lines]
    for event in events:
        holds("event", event)
    assert [event["kind"] for event in events][0::5] == ["task.requested", "task.published"]
    envelope = home.call("show", 1, "--receipt").json()
    holds("receipt", json.loads(base64.b64decode(envelope["payload"])))
    assert envelope["signatures"]


def test_every_other_document_has_what_a_script_needs(home: CliHome):
    home.published()
    shapes: dict[tuple[str, ...], tuple[type, set[str]]] = {
        ("list",): (list, {"number", "state", "repo", "requester", "title", "lane", "revision", "digest"}),
        ("queue",): (dict, {"paused", "jobs"}),
        ("stats",): (dict, {"tasks", "jobs", "workers", "events", "since", "deliveries", "spending"}),
        ("doctor",): (dict, {"healthy", "checks"}),
        ("verify", "1"): (dict, {"task", "verified", "checks"}),
        ("policy", "check"): (dict, {"rules", "lanes", "digest", "warnings"}),
        ("policy", "explain", "set a to 1 in x.yaml", "--as", "ana"): (dict, {"effect", "lane", "rule", "reason"}),
        ("show", "1", "--diff"): (dict, {"task", "diff"}),
        ("show", "1", "--transcript"): (dict, {"task", "turns"}),
        ("pause", "--reason", "lunch"): (dict, {"paused"}),
        ("resume",): (dict, {"paused"}),
        ("migrate",): (dict, {"version", "changed"}),
        ("backup", str(home.folder / "b.tgz")): (dict, {"file", "size_bytes"}),
    }
    for words, expected in shapes.items():
        kind, keys = expected
        document = home.call(*words, "--json").json()
        assert isinstance(document, kind), words
        rows = cast("list[dict[str, Any]]", document if kind is list else [document])
        assert keys <= rows[0].keys(), words


def test_what_waits_in_the_queue_is_listed_with_its_place_and_its_reason(home: CliHome):
    home.call("pause", "--reason", "lunch", "--as", "lee")
    for n in (1, 2):
        home.document("ask", f"set server.timeout to {n} in config/app.yaml", "--as", "ana", "--priority", n)
    found = home.document("queue")
    assert found["paused"]["reason"] == "lunch"
    assert [(job["task"], job["state"], job["kind"]) for job in found["jobs"]] == [
        (2, "ready", "plan"),
        (1, "ready", "plan"),
    ]
    assert home.document("show", 1)["queue"]["position"] == 2
    assert home.call("worker", "--drain").code == 0
    assert home.document("show", 2)["state"] == "received", "a paused queue starts nothing"


def test_what_waits_for_another_task_goes_on_once_that_is_published(home: CliHome):
    first = home.staged()
    home.document("ask", "set server.host to b in config/app.yaml", "--as", "ana", "--after", 1)
    assert home.call("worker", "--drain").code == 0, "waiting for a task is no work to wait for"
    second = home.document("show", 2)
    assert (second["state"], second["queue"]["waits_for"]) == ("queued", 1)
    home.document("approve", 1, first["staged"]["digest"], "--as", "lee")
    assert home.call("worker", "--drain").code == 0
    assert home.document("show", 2)["state"] == "staged"


def test_list_filters_by_state_and_pages(home: CliHome):
    for n in range(3):
        home.document("ask", f"set server.timeout to {n} in config/app.yaml", "--as", "ana")
    home.document("cancel", 2, "--as", "ana")
    numbers = [row["number"] for row in home.call("list", "--json", "--limit", 2).json()]
    assert numbers == [3, 2]
    assert [row["number"] for row in home.call("list", "--json", "--before", 2).json()] == [1]
    assert [row["number"] for row in home.call("list", "--json", "--state", "cancelled").json()] == [2]
    since = home.call("events", "--json", "--since", "1h", "--task", 2).out.splitlines()
    assert [json.loads(line)["kind"] for line in since] == ["task.requested", "task.cancelled"]


def test_the_gate_says_which_objectives_are_missed_and_exits_with_1(home: CliHome):
    home.document("ask", "set server.timeout to 44 in config/app.yaml", "--repo", "web", "--as", "ana", "--wait")
    file = home.root / "objectives.yaml"
    wait = "{subject: wait, within: %s, share: 0.9, window: 1d}"
    file.write_text(f"version: 1\nobjectives:\n  waits: {wait % '1h'}\n  work: {{subject: success, share: 0.5}}\n")
    met = home.call("stats", "--gate", str(file))
    assert (met.code, met.err) == (0, "")
    assert "waits" in met.out
    asked = "{subject: run, within: 1s, share: 0.999, lanes: config}"
    file.write_text(f"version: 1\nobjectives:\n  fast: {asked}\n")
    document = home.call("stats", "--gate", str(file), "--json")
    (row,) = document.json()["objectives"]
    assert (row["name"], row["events"], document.code) == ("fast", 1, 0 if row["met"] else 1)
    home.call("ask", "replace 'no such words' with 'x' in config/app.yaml", "--repo", "web", "--as", "ana", "--wait")
    file.write_text("version: 1\nobjectives:\n  work: {subject: success, share: 0.99}\n")
    missed = home.call("stats", "--gate", str(file))
    assert missed.code == 1
    assert missed.err.startswith("countersign: work: 50% of the requests ended with a staged diff in 7 days")
    file.write_text("version: 1\nobjectives:\n  work: {subject: success, share: 0.99, within: 1s}\n")
    wrong = home.call("stats", "--gate", str(file))
    assert wrong.code == 2
    assert "objectives.yaml:3" in wrong.err


def test_stats_have_phases_causes_and_verdicts(home: CliHome):
    home.published()
    document = home.document("stats")
    assert set(document["phases"]) == {"queued", "model_wait", "model_use", "work"}
    assert document["approvals"][0]["person"] == "lee"
    assert document["errors"] == {}
    shown = home.call("stats").out
    assert "Phases of jobs" in shown
    assert "From the staged diff to a verdict" in shown
