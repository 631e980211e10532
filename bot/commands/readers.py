"""Which reader reads the arguments of each command."""

from __future__ import annotations

from typing import Final

from bot.commands.identity_readers import read_link, read_unlink
from bot.commands.model import (
    Cancel,
    Command,
    InvalidCommand,
    ListSchedules,
    Merge,
    OpenWeb,
    PauseSchedule,
    Queue,
    ResumeSchedule,
    Retry,
    Show,
    ShowGpus,
    Undo,
    Unschedule,
    Why,
)
from bot.commands.queue_readers import read_hold, read_move, read_release
from bot.commands.reading import CommandReader, about, numbered, usage_advice
from bot.commands.schedule_readers import read_every, with_id
from bot.commands.task_readers import (
    read_approve,
    read_diff,
    read_extend,
    read_pick,
    read_progress,
    read_reject,
    read_reply,
)


def _only_number(name: str, command: type[Show | Why | Cancel | Undo | Merge | Retry]) -> CommandReader:
    def read(rest: str, bound: bool) -> Command | InvalidCommand:
        parsed = numbered(name, rest, bound=bound)
        if isinstance(parsed, InvalidCommand):
            return parsed
        if parsed[1]:
            return InvalidCommand(about(name, "takes the number of a task and nothing else"), usage_advice(name))
        return command(parsed[0])

    return read


def _without_arguments(name: str, command: type[Queue | ShowGpus | OpenWeb | ListSchedules]) -> CommandReader:
    def read(rest: str, _bound: bool) -> Command | InvalidCommand:
        return InvalidCommand(about(name, "takes nothing after it"), usage_advice(name)) if rest else command()

    return read


READERS: Final[dict[str, CommandReader]] = {
    "reply": read_reply,
    "approve": read_approve,
    "reject": read_reject,
    "show": _only_number("show", Show),
    "diff": read_diff,
    "why": _only_number("why", Why),
    "pick": read_pick,
    "progress": read_progress,
    "retry": _only_number("retry", Retry),
    "cancel": _only_number("cancel", Cancel),
    "extend": read_extend,
    "merge": _only_number("merge", Merge),
    "undo": _only_number("undo", Undo),
    "queue": _without_arguments("queue", Queue),
    "gpu": _without_arguments("gpu", ShowGpus),
    "hold": read_hold,
    "release": read_release,
    "move": read_move,
    "every": read_every,
    "schedules": _without_arguments("schedules", ListSchedules),
    "unschedule": with_id("unschedule", Unschedule),
    "pause_schedule": with_id("pause_schedule", PauseSchedule),
    "resume_schedule": with_id("resume_schedule", ResumeSchedule),
    "link": read_link,
    "unlink": read_unlink,
    "web": _without_arguments("web", OpenWeb),
}
"""The readers of all commands but `task` and `help`, which `bot.commands.parse` reads itself."""
