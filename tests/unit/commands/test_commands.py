"""What people write, and the command it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.commands import (
    COMMANDS,
    Approve,
    Ask,
    Cancel,
    Diff,
    Every,
    Extend,
    Help,
    Hold,
    InvalidCommand,
    Link,
    ListSchedules,
    Merge,
    Move,
    PauseSchedule,
    Pick,
    Progress,
    Queue,
    Reject,
    Release,
    Reply,
    ResumeSchedule,
    Retry,
    Show,
    Undo,
    Unschedule,
    Why,
    help_text,
    parse,
)
from bot.commands.help import commands_page
from bot.commands.table import FIRST

pytestmark = pytest.mark.surfaces

ANYWHERE = [
    ("/task set a to 1 in x.yaml", Ask("set a to 1 in x.yaml")),
    ("/ask set a to 1 in x.yaml", Ask("set a to 1 in x.yaml")),
    ("/task@count_bot set a to 1", Ask("set a to 1")),
    ("/TASK set a to 1", Ask("set a to 1")),
    ("/task\nset a to 1\nin x.yaml", Ask("set a to 1\nin x.yaml")),
    ("/task --repo web --lane docs fix it", Ask("fix it", "web", "docs")),
    ("/task fix it --lane docs --repo web --priority -5", Ask("fix it", "web", "docs", -5)),
    ("/task fix it in repo web", Ask("fix it", "web")),
    ("/task fix it in the repository web.", Ask("fix it", "web")),
    ('/task fix it --repo="web"', Ask("fix it", "web")),
    ("/task fix it —repo “web”", Ask("fix it", "web")),
    ('/task replace "x" with "--repo web"', Ask('replace "x" with "--repo web"')),
    ("/task add the option --repo web to the README", Ask("add the option --repo web to the README")),
    ("/task -- --repo web", Ask("--repo web")),
    ("/reply 12 make it 45", Reply(12, "make it 45")),
    ("/reply #12 make it 45", Reply(12, "make it 45")),
    ("reply 12 make it 45", Reply(12, "make it 45")),
    ("/approve 12 9c1e04ab77d2", Approve(12, "9c1e04ab77d2")),
    ("/approve #12 9C1E04AB77D2…", Approve(12, "9c1e04ab77d2")),
    ("/approve 12", Approve(12)),
    ("approve 12 9c1e04ab77d2", Approve(12, "9c1e04ab77d2")),
    ("Approve #12 9c1e04ab77d2", Approve(12, "9c1e04ab77d2")),
    ("/countersign approve 12 9c1e04ab77d2", Approve(12, "9c1e04ab77d2")),
    ("countersign approve 12 9c1e04ab77d2", Approve(12, "9c1e04ab77d2")),
    ("/reject 12 the heading is wrong", Reject(12, "the heading is wrong")),
    ('/reject 12 --reason "the heading is wrong"', Reject(12, "the heading is wrong")),
    ("reject 12 wrong", Reject(12, "wrong")),
    ("/show 12", Show(12)),
    ("/diff 12", Diff(12)),
    ("/diff 12 docs/a.md", Diff(12, "docs/a.md")),
    ('/diff 12 "docs/a b.md"', Diff(12, "docs/a b.md")),
    ("diff #12 docs/a.md", Diff(12, "docs/a.md")),
    ("/why 12", Why(12)),
    ("/progress", Progress()),
    ("/progress 12", Progress(12)),
    ("/progress 12 --since 2h", Progress(12, "2h")),
    ("/progress --since=30m", Progress(None, "30m")),
    ("progress since 2 days", Progress(None, "2d")),
    ("/queue", Queue()),
    ("queue", Queue()),
    ("/hold", Hold()),
    ("/hold the machines move", Hold("the machines move")),
    ("/release", Release()),
    ("/pause --lane docs the forge moves", Hold("the forge moves", "lane", "docs")),
    ("/hold --repo web", Hold("", "repo", "web")),
    ("/pause --endpoint gpu1 --reason heat", Hold("heat", "endpoint", "gpu1")),
    ("/resume --lane=docs", Release("lane", "docs")),
    ("/move 12 --first", Move(12, "first")),
    ("/move #12 --before #9 the release waits", Move(12, "before", 9, "the release waits")),
    ("/move 12 --last", Move(12, "last")),
    ("/cancel 12", Cancel(12)),
    ("cancel 12", Cancel(12)),
    ("/undo 12", Undo(12)),
    ("/extend 12", Extend(12)),
    ("extend #12 --tokens 20,000", Extend(12, tokens=20_000)),
    ("/extend 12 --steps 5 --usd $1.50", Extend(12, steps=5, usd=1.5)),
    ("/merge 12", Merge(12)),
    ("merge #12", Merge(12)),
    ("/retry 12", Retry(12)),
    ("/pick #12 1,3-5", Pick(12, "1,3-5")),
    ("/pick #12", Pick(12, "")),
    ("/help", Help()),
    ("/start", Help()),
    ("/help approve", Help("approve")),
    ("/help /ask", Help("task")),
    ("/countersign", Help()),
    ("/link", Link()),
    ("/link ana", Link("ana")),
    ("/schedules", ListSchedules()),
    ("/unschedule sch_01K5", Unschedule("sch_01k5")),
    ("/pause_schedule sch_1", PauseSchedule("sch_1")),
    ("/pause-schedule sch_1", PauseSchedule("sch_1")),
    ("/resumeschedule sch_1", ResumeSchedule("sch_1")),
    ('/every "weekday 09:00" bump x', Every("weekday 09:00", "bump x")),
    ("/every “weekday 09:00” bump x", Every("weekday 09:00", "bump x")),
    ('/every "daily 9:00" in Europe/Zurich bump x', Every("daily 9:00", "bump x", zone="Europe/Zurich")),
    ('/every "daily 9:00 in Europe/Zurich" bump x', Every("daily 9:00", "bump x", zone="Europe/Zurich")),
    ('/every "daily 9:00" --zone UTC bump x --repo web', Every("daily 9:00", "bump x", "web", zone="UTC")),
    ('/every "daily 9:00" in docs/a.md replace x', Every("daily 9:00", "in docs/a.md replace x")),
    ('/every "daily 9:00" in Config/App replace x', Every("daily 9:00", "in Config/App replace x")),
    ('every "daily 9:00" bump x', Every("daily 9:00", "bump x")),
    (
        '/every "daily 9:00" --lane bump --set package=httpx --set version=1.0 bump it',
        Every("daily 9:00", "bump it", None, "bump", None, (("package", "httpx"), ("version", "1.0"))),
    ),
    ('/every "daily 9:00" bump it --lane b --set a=1', Every("daily 9:00", "bump it", None, "b", None, (("a", "1"),))),
]


@pytest.mark.parametrize("bound", [False, True])
@pytest.mark.parametrize(("text", "command"), ANYWHERE, ids=[text for text, _ in ANYWHERE])
def test_a_command_is_the_same_everywhere(text, command, bound):
    assert parse(text, bound=bound) == command


@pytest.mark.parametrize(
    "text",
    [
        "set a to 1 in x.yaml",
        "undo the change of the title",
        "merge the two sections of docs/a.md",
        "show the version in README.md",
        "hold on",
        "every file in docs: replace a with b",
        "help me replace a with b in x.md",
        "queue.size should be 5",
        "queue size to 5 in x.yaml",
        "reply-to header: set to x",
        "pick a better name for x",
        "link the docs to the site",
        "countersign the release notes",
        "why is the sky blue",
        "lgtm",
    ],
)
def test_plain_words_are_a_request_or_a_reply(text):
    assert parse(text, bound=False) == Ask(text)
    assert parse(text, bound=True) == Reply(None, text)


def test_words_after_a_mention_lose_what_stood_between():
    assert parse(", set a to 1", bound=False) == Ask("set a to 1")
    assert parse(": approve 12 9c1e04ab77d2", bound=False) == Approve(12, "9c1e04ab77d2")
    assert parse("task set a to 1 --repo web", bound=False) == Ask("set a to 1", "web")


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/approve", Approve(None)),
        ("/approve 9c1e04ab77d2", Approve(None, "9c1e04ab77d2")),
        ("/approve 123456789012", Approve(None, "123456789012")),
        ("approve", Approve(None)),
        ("/reject wrong heading", Reject(None, "wrong heading")),
        ("/reply -- 12 is too many", Reply(None, "12 is too many")),
        ("/reply too many", Reply(None, "too many")),
        ("/diff", Diff(None)),
        ("/diff docs/a.md", Diff(None, "docs/a.md")),
        ("/why", Why(None)),
        ("undo", Undo(None)),
        ("/merge", Merge(None)),
        ("/pick 1,3-5", Pick(None, "1,3-5")),
        ("/pick 2", Pick(None, "2")),
        ("/pick 2 not 5", Pick(None, "2 not 5")),
        ("/pick docs/a.md", Pick(None, "docs/a.md")),
        ("/pick", Pick(None, "")),
        ("why?", Why(None)),
        (": cancel!", Cancel(None)),
    ],
)
def test_the_number_may_be_left_out_where_the_place_has_one(text, command):
    assert parse(text, bound=True) == command
    unbound = parse(text, bound=False)
    assert isinstance(unbound, InvalidCommand) or getattr(unbound, "number", None) is not None


def test_a_plain_number_that_may_be_a_task_or_a_hunk_is_asked_about():
    found = parse("/pick 12 1,3", bound=True)
    assert isinstance(found, InvalidCommand)
    assert "/pick #12 1,3" in found.sentence


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("/aprove 12 9c1e04ab77d2", "/approve"),
        ("/taks set a to 1", "/task"),
        ("/quue", "/queue"),
        ("/rejct 12 x", "/reject"),
        ("/resume sch_1", "/resume_schedule"),
        ("/lgtm", "/approve"),
        ("/fix the docs", "/task"),
        ("/help aprove", "/approve"),
        ("aprove 12 9c1e04ab77d2", "/approve"),
        ("/countersign aprove 12 9c1e04ab77d2", "/approve"),
        ("/app\u200brove 12 9c1e04ab77d2", "/approve"),
        ("\u200b/approve 12 9c1e04ab77d2", "/approve"),
        ("\u202e/approve 12", "/approve"),
        ("app\u200brove 12 9c1e04ab77d2", "/approve"),
        ("/\uff41pprove 12", "/approve"),
        ("\uff0fapprove 12", "/approve"),
        ("/\u0430pprove 12", "/approve"),
        ("\u0430pprove 12 9c1e04ab77d2", "/approve"),
    ],
)
@pytest.mark.parametrize("bound", [False, True])
def test_a_command_written_wrong_is_told_the_nearest_and_does_nothing(text, near, bound):
    found = parse(text, bound=bound)
    assert isinstance(found, InvalidCommand)
    assert near in found.sentence


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  \n ",
        "/",
        "/ task x",
        "//task x",
        "/etc/hosts",
        "/nothingatall",
        "/task",
        "/task --repo web",
        "/task --reop web fix",
        "/task fix --repo web --repo infra",
        "/task fix --repo a/b",
        "/task fix --priority high",
        "/task fix --priority 101",
        "/reply 12",
        "/reply twelve x",
        "/approve",
        "/approve 9c1e04ab77d2",
        "/approve 12 9c1e04ab77d2 thanks",
        "/approve 12 sure",
        "/approve 0 9c1e04ab77d2",
        "/approve 2147483648 9c1e04ab77d2",
        "/approve \u0661\u0662 9c1e04ab77d2",
        "/approve 12 9c1e\u200b04ab77d2",
        "approve the change",
        "reject",
        "/show",
        "/show 12 13",
        "/show 12#",
        "/diff 12 a b",
        "/progress 12 --since yesterday",
        "/queue now",
        "/release 12",
        "cancel 12 please",
        "/pick",
        "/every weekday 09:00 bump x",
        '/every "weekday 09:00"',
        '/every "" bump x',
        '/every "daily 9:00 in UTC" in Europe/Zurich bump x',
        "/unschedule",
        "/unschedule a b",
        "/link ana lee",
    ],
)
def test_what_is_no_command_says_so(text):
    found = parse(text, bound=False)
    assert isinstance(found, InvalidCommand), found
    assert found.sentence.endswith((".", "?", ")"))


def test_help_names_every_command():
    everything = help_text("more", "telegram")
    for spec in COMMANDS:
        assert f"/{spec.name}" in everything
        assert spec.example in help_text(spec.name, "telegram")
    assert len(everything) < 4096  # one message of Telegram


def test_chat_30_help_is_short_and_the_rest_is_behind_more():
    short = help_text(None, "telegram")
    assert len(short.splitlines()) <= 6
    assert "/help more" in short
    assert [spec.name for spec in FIRST] == ["task", "reply", "approve", "reject", "help"]
    assert parse("/help more", bound=False) == Help("more")


def test_chat_15_help_is_in_the_form_of_the_place():
    for topic in (None, "more", *(spec.name for spec in COMMANDS)):
        for word in help_text(topic, "slack").split():
            assert not word.startswith("/") or word == "/countersign"


@pytest.mark.parametrize("spec", COMMANDS, ids=lambda spec: spec.name)
def test_every_example_is_read_as_its_command(spec):
    found = parse(spec.example, bound=False)
    assert type(found).__name__.lower() == {
        "task": "ask",
        "schedules": "listschedules",
        "gpu": "showgpus",
        "web": "openweb",
    }.get(spec.name, spec.name.replace("_", ""))
    assert len(spec.name) <= 32
    assert spec.name.replace("_", "").isalnum()
    assert len(spec.help) <= 256


def test_the_page_of_the_documentation_is_made_from_the_table():
    written = Path(__file__).parents[3] / "docs" / "commands.md"
    assert written.read_text(encoding="utf-8") == commands_page(), "run: make docs"
