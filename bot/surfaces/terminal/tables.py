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
_REDUNDANT_KEYS: Final = frozenset({"state", "job", "attempt"})
"""Keys of an event's body that its kind implies."""


def print_list(
    stream: TextIO, rows: Sequence[_Row], *, now: datetime | None = None, profile: TerminalProfile | None = None
) -> None:
    """Print the rows of ``list --json`` (`core.model.task.TaskSummary.to_json`), one line per task."""
    profile, now = profile or detect_profile(stream), now or datetime.now(UTC)
    if not rows:
        write_items(stream, profile, [profile.text(("No tasks yet. ", "bold"), 'Ask for one: countersign ask "…"')])
        return
    table = grid("right", "fixed", "fixed", "cut", "fixed", "fixed")
    for row in rows:
        state = State(row["state"])
        number = f"#{row['number']}" if row["revision"] == 1 else f"#{row['number']}.{row['revision']}"
        table.add_row(
            profile.text((number, f"bold {ACCENT}")),
            profile.text(profile.icon(ICONS[state]), (state.value, STATE_STYLES[state])),
            profile.text((" ".join(filter(None, (row["repo"], row["lane"]))) or "-", "dim")),
            on_one_line(profile.text((one_line(row["title"], 200), "" if state in _OPEN else "dim"))),
            profile.text(row["requester"]),
            profile.text((ago(row["updated_at"], now), "dim")),
        )
    write_items(stream, profile, [table], width=_line_width(profile))


_OPEN: Final = frozenset(State) - {State.MERGED, State.CLOSED, State.CANCELLED, State.EXPIRED}


def print_queue(
    stream: TextIO,
    rows: Sequence[_Row],
    *,
    paused: _Row | None = None,
    pauses: Sequence[_Row] = (),
    now: datetime | None = None,
    profile: TerminalProfile | None = None,
) -> None:
    """Print jobs in the given order (``queue --json``): each has task, revision, kind, state, priority and more.

    `paused` says who paused the queue (`by`) and why (`reason`); `pauses` are those of lanes and repositories.
    """
    profile, now = profile or detect_profile(stream), now or datetime.now(UTC)
    items: list[Any] = [_paused(profile, paused)] if paused is not None else []
    items += [_paused(profile, each) for each in pauses]
    if not rows:
        write_items(stream, profile, [*items, profile.text(("The queue is empty.", "dim"))])
        return
    table = grid("right", "fixed", "fixed", "fixed", "flow")
    for row in rows:
        state = JobState(row["state"])
        style = _JOB_STYLES.get(state, "")
        table.add_row(
            profile.text((f"#{row['task']}", f"bold {ACCENT}")),
            profile.text((row["kind"], style)),
            profile.text((state.value, style)),
            profile.text((f"priority {row['priority']}" if row.get("priority") else "", "dim")),
            _job(profile, row, now),
        )
    running = sum(1 for row in rows if row["state"] == JobState.RUNNING)
    write_items(
        stream, profile, [*items, table, profile.text((f"{running} running, {len(rows) - running} to come", "dim"))]
    )


def _paused(profile: TerminalProfile, paused: _Row) -> Text:
    what, option = "The queue", ""
    if scope := paused.get("scope"):
        what = f"The {scope} {paused['name']}"
        option = f" --{'repo' if scope == 'repository' else scope} {paused['name']}"
    by = f" by {paused['by']}" if paused.get("by") else ""
    reason = f": {one_line(paused['reason'])}" if paused.get("reason") else ""
    resume = f"; resume it with countersign resume{option}"
    return profile.text(("! ", "yellow"), (f"{what} is paused{by}{reason}", "bold yellow"), (resume, "dim"))


def _job(profile: TerminalProfile, row: _Row, now: datetime) -> Text:
    """The details of a job beside its state."""
    details = [(f"title “{one_line(row['title'], 80)}”", "")] if row.get("title") else []
    ready = parse_time(row.get("ready_at"))
    if row["state"] == JobState.READY and ready and ready > now:
        details.append((f"ready {until(row['ready_at'], now)}", "dim"))
    if row.get("deadline"):
        details.append((f"due {until(row['deadline'], now)}", ""))
    if row.get("after"):
        details.append((f"after #{row['after']}", "dim"))
    if row.get("needs"):
        details.append((f"needs {', '.join(row['needs'])}", "dim"))
    if row.get("attempt", 1) > 1:
        details.append((f"try {row['attempt']}", "yellow"))
    if row.get("worker"):
        details.append((f"on {row['worker']}", "dim"))
    if row.get("problem"):
        details.append((one_line(row["problem"], 200), "yellow"))
    return profile.text(
        *[part for n, detail in enumerate(details) for part in ([(" · ", "dim"), detail] if n else [detail])]
    )


def print_events(stream: TextIO, events: Iterable[_Row], *, profile: TerminalProfile | None = None) -> None:
    """Print events (`core.model.event.Event.to_json`), one line each; columns are the same for every call."""
    profile = profile or detect_profile(stream)
    for event in events:
        at = parse_time(event["at"])
        when = at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if at else ""
        task = f"#{event['task']}" if event["task"] else "-"
        actor = " on ".join(filter(None, (event["person"], event["surface"] if event["person"] else "")))
        body = " ".join(f"{key}={_value(value)}" for key, value in event["body"].items() if key not in _REDUNDANT_KEYS)
        line = profile.text(
            (f"{when}  ", "dim"),
            (f"{task:>6}  ", ACCENT),
            (f"{profile.displayable(event['kind']):<20}  ", _event_style(event["kind"])),
            f"{profile.displayable(actor)}  " if actor else "",
            (one_line(body, 300), "dim"),
        )
        write_items(stream, profile, [on_one_line(line)], width=_line_width(profile))


def _line_width(profile: TerminalProfile) -> int:
    """The width of a line: cut at a terminal's edge only, so that a pipe can be searched."""
    return profile.width if profile.colours else _PIPE_LINE


def _event_style(kind: str) -> str:
    ending = kind.rpartition(".")[2]
    if ending in ("failed", "blocked", "denied", "refused", "rejected", "voided", "expired"):
        return "red"
    return "green" if ending in ("approved", "published", "merged") else ""


def _value(value: object) -> str:
    """A value of an event's body, short enough to share a line."""
    if isinstance(value, str):
        if len(value) in (40, 64) and all(char in "0123456789abcdef" for char in value):
            return short_digest(value) if len(value) == 64 else value[:_SHORT_OID]
        return one_line(value, 80)
    return one_line(json.dumps(value, ensure_ascii=False, default=str), 120)
