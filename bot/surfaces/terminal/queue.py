"""The queue on the terminal: a table with what each job works with, its place, when it begins, and why it waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TextIO

from bot.cards.eta import late_sentence, short_forecast
from bot.cards.safe import one_line
from bot.cards.times import parse_time, until
from bot.surfaces.terminal.profile import ACCENT, Item, TerminalProfile, detect_profile, write_items
from core.model.job import JobKind, JobState

if TYPE_CHECKING:
    from rich.text import Text

_Row = Mapping[str, Any]

_HEADINGS: Final = ("", "work", "state", "model", "place", "forecast")
_STYLES: Final = {JobState.RUNNING: f"bold {ACCENT}", JobState.READY: "", JobState.WAITING: "dim"}
_MODEL: Final = _HEADINGS.index("model")
_PLACE: Final = _HEADINGS.index("place")
_MAX_MODEL: Final = 26
_INDENT: Final = "      "


def print_queue(
    stream: TextIO,
    rows: Sequence[_Row],
    *,
    pauses: Sequence[_Row] = (),
    now: datetime | None = None,
    profile: TerminalProfile | None = None,
) -> None:
    """Print jobs in the given order (the rows of ``queue --json``).

    `pauses` say who paused the queue, a lane or a repository (`by`), and why (`reason`).
    """
    profile = profile or detect_profile(stream)
    write_items(stream, profile, queue_items(profile, rows, pauses=pauses, now=now or datetime.now(UTC)))


def queue_items(
    profile: TerminalProfile, rows: Sequence[_Row], *, now: datetime, pauses: Sequence[_Row] = (), limit: int = 1000
) -> list[Item]:
    """The lines of the queue: two for each of the first `limit` jobs; jobs that follow pull requests are counted."""
    items: list[Item] = [_paused(profile, each) for each in pauses]
    working = [row for row in rows if row["kind"] != JobKind.FOLLOW]
    if not rows:
        return [*items, profile.text(("The queue is empty.", "dim"))]
    shown = working[:limit]
    cells = [_cells(row) for row in shown]
    widths = _widths(profile, cells)
    is_wide = _fits(profile, widths)
    if not is_wide:  # the model goes to the details, and the reason tells the place
        widths[_MODEL] = 0
        widths[_PLACE] = widths[_PLACE] if _fits(profile, widths) else 0
    if shown:
        items.append(_line(profile, _HEADINGS, widths, ["dim"] * len(_HEADINGS)))
    for row, texts in zip(shown, cells, strict=True):
        style = _STYLES.get(JobState(row["state"]), "")
        items.append(_line(profile, texts, widths, [f"bold {ACCENT}", style, style, "", "dim", ""]))
        if (details := _details(profile, row, now, "" if is_wide else texts[_MODEL])) is not None:
            items.append(details)
    return [*items, _summary(profile, rows, len(working) - len(shown))]


def _cells(row: _Row) -> tuple[str, ...]:
    model = f"{row['endpoint']}/{row['model']}" if row.get("model") else ""
    is_waiting = row["state"] == JobState.RUNNING and row.get("why")
    state = "runs" if row["state"] == JobState.RUNNING and not is_waiting else "waits"
    position = row.get("position") or 0
    place = str(position) if position else (f"{row['before'] + 1}" if is_waiting and row.get("before") else "")
    return (
        f"#{row['task']}",
        one_line(" ".join(filter(None, (row["kind"], row.get("lane")))), 24),
        state,
        one_line(model, _MAX_MODEL),
        place,
        short_forecast(row),
    )


def _fits(profile: TerminalProfile, widths: Sequence[int]) -> bool:
    return sum(width + 2 for width in widths if width) <= profile.width + 2


def _widths(profile: TerminalProfile, cells: Sequence[Sequence[str]]) -> list[int]:
    from rich.cells import cell_len

    columns = list(zip(*(_HEADINGS, *cells), strict=True))
    widths = [max(cell_len(profile.displayable(text)) for text in column) for column in columns]
    return [width if any(column[1:]) else 0 for width, column in zip(widths, columns, strict=True)]


def _line(profile: TerminalProfile, texts: Sequence[str], widths: Sequence[int], styles: Sequence[str]) -> Text:
    from rich.cells import cell_len

    parts: list[tuple[str, str]] = []
    for number, (text, width, style) in enumerate(zip(texts, widths, styles, strict=True)):
        if not width:
            continue
        padding = " " * (width - cell_len(profile.displayable(text)))
        aligned = padding + text if number in (0, _PLACE) else text + padding
        parts += [(aligned, style), ("  ", "")]
    line = profile.text(*parts[:-1])
    line.rstrip()
    return line


def _details(profile: TerminalProfile, row: _Row, now: datetime, model: str = "") -> Any:
    """Why a job waits, and what else is worth knowing of it, below its line; None when there is nothing."""
    late = late_sentence({**row, "why": ""})
    details = [(late.rstrip("."), "bold yellow")] if late else []
    why = row.get("why") or row.get("progress") or ""
    if model and model not in why:
        details.append((model, ""))
    if why:
        details.append((one_line(why, 200).rstrip("."), ""))
    ready = parse_time(row.get("ready_at"))
    if row["state"] == JobState.READY and ready and ready > now:
        details.append((f"ready {until(row['ready_at'], now)}", "dim"))
    if row.get("priority"):
        details.append((f"priority {row['priority']}", "dim"))
    if row.get("deadline"):
        details.append((f"due {until(row['deadline'], now)}", ""))
    if row.get("after") and f"#{row['after']}" not in why:
        details.append((f"after #{row['after']}", "dim"))
    if row.get("needs"):
        details.append((f"needs {', '.join(row['needs'])}", "dim"))
    if row.get("attempt", 1) > 1:
        details.append((f"try {row['attempt']}", "yellow"))
    if row.get("worker"):
        details.append((f"on {row['worker']}", "dim"))
    if (problem := row.get("problem")) and problem not in why:
        details.append((one_line(problem, 200), "yellow"))
    if not details:
        return None
    from rich.padding import Padding

    text = profile.text(
        *[part for n, detail in enumerate(details) for part in ([(" · ", "dim"), detail] if n else [detail])]
    )
    return Padding(text, (0, 0, 0, len(_INDENT)))


def _summary(profile: TerminalProfile, rows: Sequence[_Row], hidden: int) -> Text:
    working = [row for row in rows if row["kind"] != JobKind.FOLLOW]
    running = sum(1 for row in working if row["state"] == JobState.RUNNING)
    facts = [f"{running} running, {len(working) - running} to come"]
    if hidden:
        facts.append(f"{hidden} not shown")
    if following := len(rows) - len(working):
        facts.append(f"{following} follow pull requests")
    if any(row.get("needs_worker") for row in rows):
        facts.append("no worker runs: start `countersign serve`, or `countersign worker`")
    return profile.text(("; ".join(facts), "dim"))


def _paused(profile: TerminalProfile, paused: _Row) -> Text:
    what, option = "The queue", ""
    if scope := paused.get("scope"):
        what = f"The {scope} {paused['name']}"
        option = f" --{'repo' if scope == 'repository' else scope} {paused['name']}"
    by = f" by {paused['by']}" if paused.get("by") else ""
    reason = f": {one_line(paused['reason'])}" if paused.get("reason") else ""
    resume = f"; resume it with countersign resume{option}"
    return profile.text(("! ", "yellow"), (f"{what} is paused{by}{reason}", "bold yellow"), (resume, "dim"))
