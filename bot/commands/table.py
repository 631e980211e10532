"""The table of commands: their names, how they are written, and one sentence of help each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """One command.

    `usage` follows its name; `also` are aliases; `example` is a complete line. `first` marks the commands of the short
    help, which people need on their first day.

    Names follow Telegram's rules for its menu: at most 32 of ``a-z0-9_``, the sentence at most 256 characters
    (https://core.telegram.org/bots/api#botcommand).
    """

    name: str
    usage: str
    help: str
    example: str
    also: tuple[str, ...] = ()
    first: bool = False


COMMANDS: Final = (
    CommandSpec(
        "task",
        "TEXT [--repo NAME] [--lane LANE] [--set NAME=VALUE] [--priority N]",
        "Ask for a change in plain words.",
        "/task set server.timeout to 30 in config/app.yaml --repo web",
        ("ask",),
        first=True,
    ),
    CommandSpec(
        "reply",
        "N TEXT",
        "Say more about a task; that makes its next revision.",
        "/reply 12 make it 45 instead",
        first=True,
    ),
    CommandSpec(
        "approve",
        "N DIGEST",
        "Approve exactly the bytes that a digest names.",
        "/approve 12 9c1e04ab77d2e85b1f36",
        first=True,
    ),
    CommandSpec(
        "reject", "N REASON", "Reject the staged diff, with a reason.", "/reject 12 the heading is wrong", first=True
    ),
    CommandSpec("show", "N", "Show a task's card again.", "/show 12"),
    CommandSpec("diff", "N [PATH]", "Show the whole diff, or that of one file.", "/diff 12 docs/install.md"),
    CommandSpec("why", "N", "Explain the lane, the rule and the findings.", "/why 12"),
    CommandSpec(
        "pick",
        "N [HUNKS]",
        "Keep only some hunks or files of the staged diff; without arguments, list them.",
        "/pick 12 1,3-5 not 4",
    ),
    CommandSpec(
        "progress",
        "[N] [--since 2h]",
        "Show what happened to a task, or the state of yours.",
        "/progress 12 --since 2h",
    ),
    CommandSpec("retry", "N", "Repeat a task's work.", "/retry 12"),
    CommandSpec("cancel", "N", "Cancel a task that is not published.", "/cancel 12"),
    CommandSpec(
        "extend",
        "N [--tokens N] [--steps N] [--usd X]",
        "Extend the budget that a task used up; without amounts, by as much again.",
        "/extend 12 --tokens 200000",
    ),
    CommandSpec("merge", "N", "Merge a published task's pull request.", "/merge 12"),
    CommandSpec(
        "undo", "N", "Undo a task: close its pull request, or revert it through the same approval.", "/undo 12"
    ),
    CommandSpec("queue", "", "Show what runs and what comes next.", "/queue"),
    CommandSpec("gpu", "", "Show the model servers, their GPUs and what is loaded.", "/gpu", ("gpus", "endpoints")),
    CommandSpec(
        "hold",
        "[--lane LANE | --repo NAME | --endpoint NAME] [REASON]",
        "Pause the queue, a lane, a repository or an endpoint until it is released.",
        "/hold --lane docs the forge is being moved",
        ("pause",),
    ),
    CommandSpec(
        "release",
        "[--lane LANE | --repo NAME | --endpoint NAME]",
        "Resume the queue, or what was paused.",
        "/release --lane docs",
        ("resume",),
    ),
    CommandSpec(
        "move",
        "N --first | --last | --before M [REASON]",
        "Move a task that waits to another place in the queue.",
        "/move 12 --before 9 the release waits for it",
    ),
    CommandSpec(
        "every",
        '"WHEN" [in ZONE] TEXT [--repo NAME] [--lane LANE] [--set NAME=VALUE]',
        "Repeat a request on a schedule.",
        '/every "weekday 09:00" in Europe/Zurich bump ruff to 0.14.0 in requirements.txt',
    ),
    CommandSpec("schedules", "", "List the recurring requests.", "/schedules"),
    CommandSpec("unschedule", "ID", "Delete a recurring request.", "/unschedule sch_01k5"),
    CommandSpec(
        "pause_schedule",
        "ID",
        "Pause a recurring request.",
        "/pause_schedule sch_01k5",
        ("pause-schedule", "pauseschedule"),
    ),
    CommandSpec(
        "resume_schedule",
        "ID",
        "Resume a paused recurring request.",
        "/resume_schedule sch_01k5",
        ("resume-schedule", "resumeschedule"),
    ),
    CommandSpec("link", "[NAME | CODE [yes]]", "Say who you are on another surface.", "/link ana"),
    CommandSpec(
        "unlink",
        "[SURFACE ID]",
        "Remove one of your linked accounts; without arguments, list them.",
        "/unlink slack T0AB12CD/U0EF34GH",
    ),
    CommandSpec("web", "", "Send a link to the pages, for this person and once, in a direct message.", "/web"),
    CommandSpec("help", "[more | COMMAND]", "List the commands.", "/help more", ("start",), first=True),
)
"""All commands, in the order in which a task needs them."""

MORE: Final = "more"
"""The help topic that lists every command."""
FIRST: Final = tuple(spec for spec in COMMANDS if spec.first)
"""The commands of the short help and the menu."""

NAMES: Final = {name: spec for spec in COMMANDS for name in (spec.name, *spec.also)}
"""Every name and alias, to its command."""

HINTS: Final = {
    "status": ("progress", "queue"),
    "list": ("progress", "queue"),
    "log": ("progress",),
    "deny": ("reject",),
    "decline": ("reject",),
    "no": ("reject",),
    "yes": ("approve",),
    "ok": ("approve",),
    "lgtm": ("approve",),
    "accept": ("approve",),
    "sign": ("approve",),
    "revert": ("undo",),
    "rollback": ("undo",),
    "stop": ("cancel", "hold"),
    "abort": ("cancel",),
    "schedule": ("every", "schedules"),
    "cron": ("every",),
    "again": ("retry",),
    "budget": ("extend",),
    "more": ("extend",),
    "whoami": ("link",),
    "do": ("task",),
    "fix": ("task",),
    "new": ("task",),
    "request": ("task",),
}
"""Words that people try, to the commands they mean; they are only suggested."""
