"""The queue in words: short lines for a phone, a table for a terminal, and bars of memory that add up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.cards.queue import MAX_JOBS, queue_text
from bot.surfaces.terminal import TerminalProfile
from bot.surfaces.terminal.gpus import gpu_items
from bot.surfaces.terminal.queue import queue_items
from tests.unit.cards.documents import NOW, at, queue_place
from tests.unit.cards.naughty import NAUGHTY

GIB = 1024**3
EVIL = "".join(text for text in NAUGHTY if len(text) < 100)


def job(task: int = 142, **changes: Any) -> dict[str, Any]:
    identity = {"job": "job_1", "task": task, "revision": 1, "kind": "change", "state": "ready"}
    rest = {"priority": 0, "attempt": 1, "ready_at": at(minutes=1), "deadline": None, "worker": None, "needs": []}
    model = {"lane": "code", "requester": "ana", "endpoint": "gpu", "model": "coder:30b", "after": None}
    return {**queue_place(), **identity, **rest, **model, **changes}


def endpoint(**changes: Any) -> dict[str, Any]:
    resident = {"name": "coder:30b", "vram_bytes": 9 * GIB, "ram_bytes": 0, "level": "awake", "is_busy": None}
    gpu = {"name": "", "total_bytes": 24 * GIB, "free_bytes": None, "reserve_bytes": 0, "processes": []}
    models = [{"name": "qwen3:8b", "needed_bytes": 5 * GIB}]
    parts = {"gpus": [gpu], "ram": None, "residents": [resident], "models": models, "foreign_bytes": 3 * GIB}
    return {"name": "gpu", "state": "up", "problem": "", **parts, **changes}


def document(
    *jobs: dict[str, Any], paused: dict[str, Any] | None = None, pauses: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    return {"paused": paused, "pauses": list(pauses), "jobs": list(jobs), "loading": {}}


def bars(row: dict[str, Any], loading: dict[str, str] | None = None, in_use: tuple[str, ...] = ()) -> list[str]:
    profile = TerminalProfile(60)
    return profile.render(gpu_items(profile, [row], loading or {}, in_use)).splitlines()


def test_a_phone_shows_each_job_in_short_lines():
    text = queue_text(
        document(
            job(12, state="running", position=0, eta_s=0, eta_low_s=0, eta_high_s=0, done_low_s=130, done_high_s=290),
            job(13, position=3, before=2, why="2 jobs go before it."),
            paused={"reason": "the move", "by": "lee"},
        )
    )
    assert text == (
        "The queue is paused: the move\n\n"
        "#12 change code: runs\nends in 2 to 5 min\ngpu/coder:30b\n\n"
        "#13 change code: waits\nplace 3, begins in 4 to 9 min\ngpu/coder:30b\n2 jobs go before it."
    )


def test_the_pause_of_a_lane_is_told_with_who_and_why():
    pauses = [{"scope": "lane", "name": "docs", "by": "lee", "reason": "the forge is being moved"}]
    assert queue_text(document(pauses=pauses)) == "The lane docs is paused by lee: the forge is being moved"


def test_a_long_queue_is_cut_on_a_phone_and_follow_jobs_are_left_out():
    text = queue_text(document(job(1, kind="follow"), *(job(number) for number in range(100, 140))))
    assert "#1 " not in text
    assert text.endswith(f"and {40 - MAX_JOBS} more")
    assert len(text) < 1500


def test_an_empty_queue_says_so():
    assert queue_text(document()) == "The queue is empty."


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_table_fits_its_width_and_names_place_wait_model_and_reason(width):
    profile = TerminalProfile(width, "truecolor")
    rows = [job(12, why="gpu/coder:30b is loaded on gpu, which is busy.", state="running", position=0, before=1)]
    rows += [job(number, position=number, before=number - 1) for number in range(1, 12)]
    plain = TerminalProfile(width)
    lines = plain.render(queue_items(plain, rows, now=NOW)).splitlines()
    text = "\n".join(lines)
    assert "begins in 4 to 9 min" in " ".join(text.split())
    assert "gpu/coder:30b" in text
    assert "which is busy" in " ".join(text.split())
    assert max(len(line) for line in lines) <= width
    assert "\x1b" not in text
    assert "\x1b" in profile.render(queue_items(profile, rows, now=NOW))


def test_a_broken_promise_stands_in_the_table_with_its_reason():
    profile = TerminalProfile(100)
    row = job(promised_at=at(minutes=5), is_late=True, why="The queue is paused: the move")
    assert "Not begun by 11:55 UTC as promised · The queue is paused: the move" in profile.render(
        queue_items(profile, [row], now=NOW)
    )


def test_a_bar_shows_models_other_programs_a_load_and_what_is_free():
    heading, bar, *legend = bars(endpoint(), {"gpu": "gpu/qwen3:8b"}, ("gpu/coder:30b",))
    assert heading == "gpu  up"
    counts = {mark: bar.count(mark) for mark in "A~+."}
    assert sum(counts.values()) == 56
    assert counts == {"A": 21, "~": 7, "+": 12, ".": 16}
    words = " ".join(" ".join(legend).split())
    assert "A coder:30b 9.0 GiB, busy" in words
    assert "~ other programs 3.0 GiB" in words
    assert ". free 7.0 GiB" in words
    assert "+ loading qwen3:8b" in words


def test_an_endpoint_whose_memory_is_not_known_has_no_bar():
    assert bars(endpoint(gpus=[], state="down", problem="nothing listens there")) == [
        "gpu  down  nothing listens there"
    ]


@given(st.lists(st.integers(0, 10**12), max_size=30), st.integers(0, 10**12), st.integers(1, 10**12))
def test_a_bar_is_never_longer_than_its_line(sizes, foreign, total):
    gpu = {**endpoint()["gpus"][0], "total_bytes": total}
    residents = [
        {**endpoint()["residents"][0], "name": str(number), "vram_bytes": size} for number, size in enumerate(sizes)
    ]
    bar = bars(endpoint(gpus=[gpu], residents=residents, foreign_bytes=foreign))[1]
    assert len(bar) <= 58


@pytest.mark.parametrize("profile", [TerminalProfile(80), TerminalProfile(40, None, "ascii")], ids=["plain", "ascii"])
def test_no_name_in_the_live_view_acts_on_the_terminal(profile):
    row = endpoint(name=EVIL, problem=EVIL, residents=[{**endpoint()["residents"][0], "name": EVIL}])
    items = gpu_items(profile, [row], {EVIL: f"{EVIL}/{EVIL}"}, ())
    items += queue_items(profile, [job(why=EVIL, lane=EVIL, model=EVIL, endpoint=EVIL, worker=EVIL)], now=NOW)
    text = profile.render(items)
    assert not [char for char in text if not (char.isprintable() or char in "\n　")]
    text.encode(profile.encoding)
