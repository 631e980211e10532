"""`queue`, `why` and `stats`: what queued tasks wait for and how long, and how long finished ones waited and ran."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.queue


WAIT = "Its work is expected to begin within a minute after a worker starts.\n"


def test_a_task_says_what_it_waits_for_and_how_long(home):
    assert home.call("ask", "bump the port to 81 in config/app.yaml", "--as", "ana").code == 0
    assert home.call("queue", "--why", "1").out == f"It is next, and waits for a worker that can run it.\n{WAIT}"
    assert home.call("ask", "bump the port to 82 in config/app.yaml", "--as", "ana").code == 0
    assert home.call("queue", "--why", "2").out == f"1 job goes before it.\n{WAIT}"
    assert WAIT in home.call("why", "2").out
    assert home.call("pause", "--reason", "the move").code == 0
    assert home.call("queue", "--why", "1").out == "The queue is paused: the move\n"
    assert "The queue is paused: the move." in home.call("why", "1").out
    document = json.loads(home.call("queue", "--why", "1", "--json").out)
    assert (document["task"], document["why"]) == (1, "The queue is paused: the move")
    assert (document["queue"]["position"], document["queue"]["eta_s"]) == (1, None)


def test_the_queue_is_a_table_of_places_and_forecasts(home):
    assert home.call("queue").out == "The queue is empty.\n"
    for port in (81, 82):
        assert home.call("ask", f"bump the port to {port} in config/app.yaml", "--as", "ana").code == 0
    lines = home.call("queue").out.splitlines()
    assert lines[0].split() == ["work", "state", "place", "forecast"]
    assert lines[1].split() == ["#1", "plan", "waits", "1", "begins", "within", "a", "minute"]
    assert "1 job goes before it" in lines[4]
    assert "\x1b" not in "".join(lines)
    jobs = json.loads(home.call("queue", "--json").out)["jobs"]
    assert [(job["task"], job["position"], job["eta_high_s"], job["requester"]) for job in jobs] == [
        (1, 1, 0, "ana"),
        (2, 2, 0, "ana"),
    ]


def test_the_live_view_is_printed_once_where_there_is_no_terminal(home):
    assert home.call("queue", "--watch").out == "The queue is empty.\n"
    assert home.call("queue", "--watch", "--json").code == 2
    assert home.call("queue", "--watch", "--why", "1").code == 2


def test_stats_tell_waits_and_runs_by_lane_person_and_model(home):
    asked = home.call("ask", "set server.port to 81 in config/app.yaml", "--as", "ana", "--wait")
    assert asked.code == 0
    by_lane = json.loads(home.call("stats", "--json").out)
    groups = {group["name"]: group for group in by_lane["queue"]["groups"]}
    assert groups.keys() == {"plan", "config"}
    assert groups["config"]["jobs"] == 1
    assert 0 <= groups["config"]["wait_p50_s"] <= groups["config"]["wait_p95_s"] < 120
    assert groups["config"]["run_p50_s"] > 0
    by_person = json.loads(home.call("stats", "--by", "person", "--json").out)["queue"]
    assert [(group["name"], group["jobs"]) for group in by_person["groups"]] == [("ana", 2)]
    assert json.loads(home.call("stats", "--by", "model", "--json").out)["queue"]["groups"] == []
    assert json.loads(home.call("stats", "--since", "2030-01-01T00:00Z", "--json").out)["queue"]["groups"] == []
    assert home.call("stats", "--by", "colour").code == 2
    assert "Waits and runs by lane" in home.call("stats").out


def test_a_task_that_is_not_queued_or_not_there_says_so(home):
    assert home.call("queue", "--why", "7").code == 6
    assert home.call("queue", "--why", "none").code == 2
