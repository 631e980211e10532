"""Recurring requests on the command line."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout

import pytest

from bot.cli.context import CliContext
from bot.cli.schedules import every, schedules, unschedule
from core.model.errors import CountersignError

pytestmark = pytest.mark.surfaces


@pytest.fixture
def call(home):
    def calling(command, *words):
        out = io.StringIO()
        with redirect_stdout(out):
            code = command.main(list(words), obj=CliContext(str(home.root)), standalone_mode=False)
        assert code == 0
        return out.getvalue()

    return calling


def test_one_is_added_listed_paused_resumed_and_deleted(call):
    asked = ("every day at 9am", "set a to 1 in config/x.yaml", "--as", "ana", "--zone", "Europe/Zurich")
    made = json.loads(call(every, *asked, "--json"))
    assert (made["when"], made["zone"], made["person"], made["state"]) == (
        "daily 09:00",
        "Europe/Zurich",
        "ana",
        "active",
    )
    assert made["next"].endswith("+00:00")
    assert [found["id"] for found in json.loads(call(schedules, "--json"))] == [made["id"]]
    assert made["id"] in call(schedules)
    assert json.loads(call(unschedule, made["id"], "--pause", "--json"))["next"] is None
    assert "paused" in call(schedules)
    assert "next" in call(unschedule, made["id"], "--resume")
    assert json.loads(call(unschedule, made["id"], "--as", "lee", "--json"))["state"] == "deleted"
    assert "No recurring requests" in call(schedules)
    assert json.loads(call(schedules, "--json")) == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("soon", "x", "--as", "ana"), "bad_when"),
        (("daily 9:00", "x", "--as", "ana", "--zone", "Moon/Base"), "no_such_zone"),
        (("daily 9:00", " ", "--as", "ana"), "bad_text"),
        (("daily 9:00", "x", "--as", "ana", "--repo", "nowhere"), "no_such_repository"),
    ],
)
def test_what_cannot_be_is_told(call, words, code):
    with pytest.raises(CountersignError) as caught:
        call(every, *words)
    assert caught.value.problem.code == code


def test_another_members_is_left_alone(call):
    made = json.loads(call(every, "daily 9:00", "set a to 1 in x.yaml", "--as", "ana", "--json"))
    with pytest.raises(CountersignError) as caught:
        call(unschedule, made["id"], "--as", "bo")
    assert caught.value.problem.code == "not_yours"
    with pytest.raises(CountersignError):
        call(unschedule, made["id"], "--pause", "--resume")
    with pytest.raises(CountersignError) as caught:
        call(unschedule, "sch_nothing", "--as", "ana")
    assert caught.value.problem.code == "no_such_schedule"
