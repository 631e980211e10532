"""`queue --why` and `why`: what a task that is queued waits for."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.queue


def test_a_task_says_what_it_waits_for(home):
    assert home.call("ask", "bump the port to 81 in config/app.yaml", "--as", "ana").code == 0
    assert home.call("queue", "--why", "1").out == "It is next, and waits for a worker that can run it.\n"
    assert home.call("ask", "bump the port to 82 in config/app.yaml", "--as", "ana").code == 0
    assert home.call("queue", "--why", "2").out == "1 job goes before it.\n"
    assert home.call("pause", "--reason", "the move").code == 0
    assert home.call("queue", "--why", "1").out == "The queue is paused: the move\n"
    assert "The queue is paused: the move." in home.call("why", "1").out
    assert json.loads(home.call("queue", "--why", "1", "--json").out) == {
        "task": 1,
        "why": "The queue is paused: the move",
    }


def test_a_task_that_is_not_queued_or_not_there_says_so(home):
    assert home.call("queue", "--why", "7").code == 6
    assert home.call("queue", "--why", "none").code == 2
