"""Lists, checks and progress on a terminal: aligned, searchable in a pipe, and inert."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.cells import cell_len

from bot.surfaces.terminal import (
    TaskProgress,
    TerminalProfile,
    print_checks,
    print_counts,
    print_events,
    print_explained,
    print_list,
    print_queue,
)
from bot.surfaces.terminal.layout import elide
from tests.unit.cards import documents as docs
from tests.unit.cards.documents import NOW
from tests.unit.cards.naughty import NAUGHTY
from tests.unit.cards.test_card_on_terminal import SGR, compare

PLAIN, COLOURS = TerminalProfile(80), TerminalProfile(80, "truecolor")
EVIL = "".join(text for text in NAUGHTY if len(text) < 100)


def drawn(draw, *args, look=PLAIN, **options):
    stream = io.StringIO()
    draw(stream, *args, profile=look, **options)
    return stream.getvalue()


def row(number=142, title="Fix install steps", state="staged", **changes):
    rest: dict[str, Any] = {
        "revision": 1,
        "repo": "web",
        "lane": "docs",
        "requester": "ana",
        "digest": None,
        "priority": 0,
    }
    return {"number": number, "title": title, "state": state, "updated_at": docs.at(minutes=3), **rest, **changes}


def job(task=142, **changes):
    rest: dict[str, Any] = {
        "revision": 1,
        "priority": 0,
        "attempt": 1,
        "deadline": None,
        "worker": None,
        "needs": [],
        "problem": None,
    }
    said = {"job": "job_1", "task": task, "kind": "change", "state": "ready", "ready_at": docs.at(minutes=1)}
    return {**said, **rest, **changes}


def event(kind="task.staged", **changes):
    rest: dict[str, Any] = {"id": 1, "seq": 1, "person": None, "surface": None, "body": {}, "previous": "", "hash": ""}
    return {"kind": kind, "task": 142, "at": docs.at(minutes=3), **rest, **changes}


CHECKS = [
    {"name": "git", "verdict": "ok", "detail": "2.43.0", "mend": ""},
    {"name": "sandbox", "verdict": "fail", "detail": "bubblewrap is not here", "mend": "apt install bubblewrap"},
    {"name": "database", "verdict": "warn", "detail": "SQLite on a network file system", "mend": "Move it."},
]
DECISION = {
    "title": "ana asks in web",
    "effect": "allow",
    "reason": "a member may change docs/**",
    "lane": "docs",
    "rule": "docs-changes",
    "terms": {"count": 1, "approvers": ["maintainer"]},
    "question": None,
    "trace": ["rule config: does not match", "rule docs-changes: decides docs"],
}


def test_lists_are_drawn_as_in_their_picture():
    rows = [
        row(revision=2, title="Fix the install steps of the guide that goes on and on for as long as it can"),
        row(7, "设置 timeout 为 30 秒", "merged", lane="config", updated_at=docs.at(days=3)),
        row(6, "?", "failed", repo=None, lane=None),
    ]
    jobs = [
        job(state="running", attempt=2, worker="worker_1", needs=["sandbox"], problem="the forge did not answer"),
        job(143, kind="plan", priority=5, deadline=docs.at(hours=-2)),
    ]
    trail = [
        event("task.requested", person="ana", surface="terminal", body={"text": "fix it", "state": "received"}),
        event(body={"digest": docs.DIGEST, "files": 3, "blocked": False}),
        event("queue.paused", task=None, person="ana", body={"reason": "deploy"}),
    ]
    parts = [
        drawn(print_list, rows, now=NOW),
        drawn(print_queue, jobs, pauses=[{"by": "ana", "reason": "deploy"}], now=NOW),
        drawn(print_events, trail),
        drawn(print_checks, "Doctor", CHECKS),
        drawn(print_explained, DECISION),
        drawn(print_counts, "Tasks", {"staged": 3, "merged": 120, "since": "yesterday"}),
    ]
    compare("lists", "\n".join(parts))


@pytest.mark.parametrize(
    "look", [PLAIN, COLOURS, TerminalProfile(40, None, "ascii")], ids=["plain", "colours", "ascii"]
)
def test_no_text_in_a_list_acts_on_the_terminal(look):
    evil_checks = [{**check, "name": EVIL, "detail": EVIL, "mend": EVIL} for check in CHECKS]
    texts = [
        drawn(print_list, [row(title=EVIL, requester=EVIL, repo=EVIL, lane=EVIL)], now=NOW, look=look),
        drawn(print_queue, [job(worker=EVIL, problem=EVIL)], pauses=[{"by": EVIL, "reason": EVIL}], now=NOW, look=look),
        drawn(print_events, [event(EVIL, person=EVIL, surface=EVIL, body={"text": EVIL, "x": [EVIL]})], look=look),
        drawn(print_checks, EVIL, evil_checks, look=look),
        drawn(print_explained, {**DECISION, "title": EVIL, "reason": EVIL, "trace": [EVIL]}, look=look),
        drawn(print_counts, EVIL, {EVIL: EVIL}, look=look),
    ]
    for text in texts:
        assert not [c for c in SGR.sub("", text) if not (c.isprintable() or c in "\n\u3000")]
        text.encode(look.encoding)


def test_a_list_gives_way_at_the_title_on_a_terminal_and_nowhere_in_a_pipe():
    title = "word " * 40
    on_terminal = SGR.sub("", drawn(print_list, [row(title=title)], now=NOW, look=COLOURS))
    in_pipe = drawn(print_list, [row(title=title)], now=NOW)
    assert all(cell_len(line) <= 80 for line in on_terminal.splitlines())
    assert "staged" in on_terminal
    assert "3 min ago" in on_terminal
    assert "…" in on_terminal
    assert title.strip() in in_pipe
    assert len(in_pipe.splitlines()) == 1


def test_wide_letters_keep_the_columns_aligned():
    text = drawn(print_list, [row(title="漢字漢字"), row(title="latin")], now=NOW)
    places = [cell_len(line[: line.index("ana")]) for line in text.splitlines()]
    assert places[0] == places[1]


def test_empty_lists_say_so():
    assert "countersign ask" in drawn(print_list, [])
    assert drawn(print_queue, []) == "The queue is empty.\n"


def test_checks_that_are_all_well_say_so_in_one_line():
    assert drawn(print_checks, "Doctor", CHECKS[:1]).splitlines()[-1] == "1 check, all ok"


@pytest.mark.parametrize(
    ("path", "width", "shown"),
    [
        ("docs/install.md", 20, "docs/install.md"),
        ("docs/a/b/c/d/e/install.md", 20, "docs/a/b…/install.md"),
        ("averyveryverylongname.md", 12, "avery…ame.md"),
        ("文書/文書/文書/導入.md", 14, "文書/…/導入.md"),
        ("", 10, ""),
    ],
)
def test_a_path_gives_way_in_its_middle(path, width, shown):
    assert elide(path, width) == shown
    assert cell_len(elide(path, width)) <= width


def test_progress_in_a_pipe_is_a_line_a_state():
    stream = io.StringIO()
    with TaskProgress(stream, 142, profile=TerminalProfile(80, None, "ascii")) as progress:
        for state in ("queued", "queued", "running", "running", "staged"):
            progress.update(state)
    assert stream.getvalue() == "#142 queued\n#142 running\n#142 staged\n"


def test_progress_on_a_terminal_is_one_line_that_goes_away():
    stream, times = io.StringIO(), iter([0.0, 1.0, 75.0])
    with TaskProgress(stream, 142, profile=COLOURS, clock=lambda: next(times)) as progress:
        progress.update("queued")
        progress.update("running", "committed \x1b[2J")
    text = stream.getvalue()
    assert "\n" not in text
    assert "#142 running · committed \\x1b[2J · 1 min" in SGR.sub("", text)
    assert text.endswith("\r\x1b[2K")
