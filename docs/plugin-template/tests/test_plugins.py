"""Every plugin of this distribution is what its port asks for, and does what it says."""

from __future__ import annotations

import asyncio
import json
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from bot.plugins import KINDS, PluginContext
from bot.plugins.shape import lacks
from core.log import log
from core.model.change import Change, FileChange
from core.model.decision import ApprovalRequirements
from core.model.errors import UsageError
from core.model.lane import Lane
from core.model.staged_diff import GuardReport

DISTRIBUTION = "countersign-todo"
OURS = [
    (kind, entry)
    for kind in KINDS
    for entry in entry_points(group=f"countersign.{kind}")
    if entry.dist is not None and entry.dist.name == DISTRIBUTION
]
BLOBS = {"clean": b"print(1)\n", "open": b"print(1)  # TODO later\n", "fix": b"# FIXME\n"}


def made(name: str, folder: Path, **settings: Any) -> Any:
    """What the factory of the plugin `name` makes, called as Countersign calls it."""
    (entry,) = [entry for _, entry in OURS if entry.name == name]
    context = PluginContext(name, settings, folder / "state" / "plugins" / name, lambda kind: pytest.fail(kind), log)
    return entry.load()(context)


def changed(old: str | None, new: str | None) -> Change:
    modes = ("100644" if old else "000000", "100644" if new else "000000")
    file = FileChange(b"a.py", *modes, old, new, None, None, 0, 0, 1, 1)
    return Change("local:web", "0" * 40, "1" * 40, (file,))


def judged(guard: Any, change: Change) -> GuardReport:
    async def read(oid: str) -> bytes:
        return BLOBS[oid]

    report: GuardReport = asyncio.run(guard.judge(change, Lane("code", "code", ("**",), "edit"), _terms(), read))
    return report


def _terms() -> ApprovalRequirements:
    return ApprovalRequirements.__new__(ApprovalRequirements)  # this guard does not look at them


def test_it_is_installed_with_a_plugin_of_each_kind_that_it_has() -> None:
    assert {(kind, entry.name) for kind, entry in OURS} == {
        ("guards", "no-todo"),
        ("checks", "compiles"),
        ("notifiers", "tally"),
    }


@pytest.mark.parametrize(("kind", "entry"), OURS, ids=[entry.name for _, entry in OURS])
def test_each_is_what_its_port_asks_for(kind: str, entry: Any, tmp_path: Path) -> None:
    assert lacks(kind, entry.name, made(entry.name, tmp_path)) == []


@pytest.mark.parametrize(
    ("old", "new", "blocked"),
    [
        ("clean", "open", True),
        (None, "open", True),
        ("open", "open", False),
        ("open", None, False),
        (None, "fix", False),
    ],
)
def test_a_change_that_adds_an_open_task_is_blocked(old: Any, new: Any, blocked: bool, tmp_path: Path) -> None:
    assert judged(made("no-todo", tmp_path), changed(old, new)).blocked is blocked


def test_the_markers_are_a_setting(tmp_path: Path) -> None:
    assert judged(made("no-todo", tmp_path, markers=["FIXME"]), changed(None, "fix")).blocked
    with pytest.raises(UsageError, match="no list of words"):
        made("no-todo", tmp_path, markers="TODO")


def test_events_are_counted_by_their_kind(tmp_path: Path) -> None:
    tally = made("tally", tmp_path)
    for kind in ("task.staged", "task.published", "task.staged"):
        asyncio.run(tally.notify({"delivery": "d", "event": {"kind": kind}, "task": None}))
    (file,) = tmp_path.rglob("tally.json")
    assert json.loads(file.read_text()) == {"task.staged": 2, "task.published": 1}
