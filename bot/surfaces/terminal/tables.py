"""Lists on the terminal: tasks, the queue, and the audit trail."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TextIO

from bot.cards.parts import ICONS
from bot.cards.safe import one_line
from bot.cards.times import ago, parse_time, until
from bot.surfaces.terminal.layout import STATE_STYLES, grid, on_one_line
from bot.surfaces.terminal.profile import ACCENT, TerminalProfile, detect_profile, write_items
from core.model.job import JobState
from core.model.lifecycle import State
from core.model.staged_diff import short_digest

if TYPE_CHECKING:
    from rich.text import Text

_Row = Mapping[str, Any]

_PIPE_LINE: Final = 500
_SHORT_OID: Final = 12
_JOB_STYLES: Final = {JobState.RUNNING: f"bold {ACCENT}", JobState.READY: "", JobState.WAITING: "dim"}
_SILENT: Final = frozenset({"state", "job", "attempt"})
"""Keys of an event's body that say nothing its kind does not say."""


def print_list(
    stream: TextIO, rows: Sequence[_Row], *, now: datetime | None = None, look: TerminalProfile | None = None
) -> None:
    """Draw the rows of ``list --json`` (`core.model.task.TaskSummary.to_json`), one line a task."""
    look, now = look or detect_profile(stream), now or datetime.now(UTC)
    if not rows:
        write_items(stream, look, [look.text(("No tasks yet. ", "bold"), 'Ask for one: countersign ask "…"')])
        return
    table = grid("right", "fixed", "fixed", "cut", "fixed", "fixed")
    for row in rows:
        state = State(row["state"])
        number = f"#{row['number']}" if row["revision"] == 1 else f"#{row['number']}.{row['revision']}"
        table.add_row(
            look.text((number, f"bold {ACCENT}")),
            look.text(look.icon(ICONS[state]), (state.value, STATE_STYLES[state])),
            look.text((" ".join(filter(None, (row["repo"], row["lane"]))) or "-", "dim")),
            on_one_line(look.text((one_line(row["title"], 200), "" if state in _OPEN else "dim"))),
            look.text(row["requester"]),
            look.text((ago(row["updated_at"], now), "dim")),
        )
    write_items(stream, look, [table], width=_whole(look))


_OPEN: Final = frozenset(State) - {State.MERGED, State.CLOSED, State.CANCELLED, State.EXPIRED}


def print_queue(
    stream: TextIO,
    rows: Sequence[_Row],
    *,
    paused: _Row | None = None,
    now: datetime | None = None,
    look: TerminalProfile | None = None,
) -> None:
    """Draw jobs in the order given (``queue --json``): each has task, revision, kind, state, priority and more.

    `paused` says who stopped the queue (`by`) and why (`reason`).
    """
    look, now = look or detect_profile(stream), now or datetime.now(UTC)
    items: list[Any] = [_paused(look, paused)] if paused is not None else []
    if not rows:
        write_items(stream, look, [*items, look.text(("The queue is empty.", "dim"))])
        return
    table = grid("right", "fixed", "fixed", "fixed", "flow")
    for row in rows:
        state = JobState(row["state"])
        style = _JOB_STYLES.get(state, "")
        table.add_row(
            look.text((f"#{row['task']}", f"bold {ACCENT}")),
            look.text((row["kind"], style)),
            look.text((state.value, style)),
            look.text((f"priority {row['priority']}" if row.get("priority") else "", "dim")),
            _job(look, row, now),
        )
    running = sum(1 for row in rows if row["state"] == JobState.RUNNING)
    write_items(stream, look, [*items, table, look.text((f"{running} running, {len(rows) - running} to come", "dim"))])


def _paused(look: TerminalProfile, paused: _Row) -> Text:
    by = f" by {paused['by']}" if paused.get("by") else ""
    why = f": {one_line(paused['reason'])}" if paused.get("reason") else ""
    resume = "; countersign resume lets it run"
    return look.text(("! ", "yellow"), (f"The queue is paused{by}{why}", "bold yellow"), (resume, "dim"))


def _job(look: TerminalProfile, row: _Row, now: datetime) -> Text:
    """What there is to say of a job beside its state."""
    said = [(f"title “{one_line(row['title'], 80)}”", "")] if row.get("title") else []
    ready = parse_time(row.get("ready_at"))
    if row["state"] == JobState.READY and ready and ready > now:
        said.append((f"ready {until(row['ready_at'], now)}", "dim"))
    if row.get("deadline"):
        said.append((f"due {until(row['deadline'], now)}", ""))
    if row.get("after"):
        said.append((f"after #{row['after']}", "dim"))
    if row.get("needs"):
        said.append((f"needs {', '.join(row['needs'])}", "dim"))
    if row.get("attempt", 1) > 1:
        said.append((f"try {row['attempt']}", "yellow"))
    if row.get("worker"):
        said.append((f"on {row['worker']}", "dim"))
    if row.get("problem"):
        said.append((one_line(row["problem"], 200), "yellow"))
    return look.text(*[part for n, one in enumerate(said) for part in ([(" · ", "dim"), one] if n else [one])])


def print_events(stream: TextIO, events: Iterable[_Row], *, look: TerminalProfile | None = None) -> None:
    """Draw events (`core.model.event.Event.to_json`), a line each; its columns stay the same from call to call."""
    look = look or detect_profile(stream)
    for event in events:
        at = parse_time(event["at"])
        when = at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if at else ""
        task = f"#{event['task']}" if event["task"] else "-"
        who = " on ".join(filter(None, (event["person"], event["surface"] if event["person"] else "")))
        body = " ".join(f"{k}={_value(v)}" for k, v in event["body"].items() if k not in _SILENT)
        line = look.text(
            (f"{when}  ", "dim"),
            (f"{task:>6}  ", ACCENT),
            (f"{look.fit(event['kind']):<20}  ", _event_style(event["kind"])),
            f"{look.fit(who)}  " if who else "",
            (one_line(body, 300), "dim"),
        )
        write_items(stream, look, [on_one_line(line)], width=_whole(look))


def _whole(look: TerminalProfile) -> int:
    """The width of a line that is cut at a terminal's edge and nowhere else: somebody may search in the pipe."""
    return look.width if look.colours else _PIPE_LINE


def _event_style(kind: str) -> str:
    ending = kind.rpartition(".")[2]
    if ending in ("failed", "blocked", "denied", "refused", "rejected", "voided", "expired"):
        return "red"
    return "green" if ending in ("approved", "published", "merged") else ""


def _value(value: object) -> str:
    """A value of an event's body, short enough for a line of many."""
    if isinstance(value, str):
        if len(value) in (40, 64) and all(c in "0123456789abcdef" for c in value):
            return short_digest(value) if len(value) == 64 else value[:_SHORT_OID]
        return one_line(value, 80)
    return one_line(json.dumps(value, ensure_ascii=False, default=str), 120)
