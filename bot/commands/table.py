"""The one table of commands: their names, how they are written, and a sentence of help each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """One command.

    `usage` follows its name; `also` are other names it answers to; `example` is a whole line. A command that people
    need on their first day is `first`; a short help has no other.

    Names are what Telegram takes for its menu: at most 32 of ``a-z0-9_``, the sentence at most 256 characters
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
        "Countersign exactly the bytes that a digest names.",
        "/approve 12 9c1e04ab77d2e85b1f36",
        first=True,
    ),
    CommandSpec(
        "reject", "N REASON", "Say no to what is staged, and why.", "/reject 12 the heading is wrong", first=True
    ),
    CommandSpec("show", "N", "Show a task's card again.", "/show 12"),
    CommandSpec("diff", "N [PATH]", "Show the whole diff, or that of one file.", "/diff 12 docs/install.md"),
    CommandSpec("why", "N", "Tell why this lane, this rule and these findings.", "/why 12"),
    CommandSpec(
        "pick",
        "N [HUNKS]",
        "Keep only some hunks or files of what is staged; alone, list them.",
        "/pick 12 1,3-5 not 4",
    ),
    CommandSpec(
        "progress",
        "[N] [--since 2h]",
        "Tell what happened to a task, or how far yours are.",
        "/progress 12 --since 2h",
    ),
    CommandSpec("retry", "N", "Do a task's work once more.", "/retry 12"),
    CommandSpec("cancel", "N", "Stop a task that is not published.", "/cancel 12"),
    CommandSpec("merge", "N", "Merge a published task's pull request.", "/merge 12"),
    CommandSpec("undo", "N", "Take a task back: close it, or revert it through the same gate.", "/undo 12"),
    CommandSpec("queue", "", "Show what runs and what comes next.", "/queue"),
    CommandSpec("hold", "[REASON]", "Start no more work until it is released.", "/hold the build machines move"),
    CommandSpec("release", "", "Let a held queue run again.", "/release"),
    CommandSpec(
        "every",
        '"WHEN" [in ZONE] TEXT [--repo NAME] [--lane LANE] [--set NAME=VALUE]',
        "Ask for a change again and again.",
        '/every "weekday 09:00" in Europe/Zurich bump ruff to 0.14.0 in requirements.txt',
    ),
    CommandSpec("schedules", "", "List the recurring requests.", "/schedules"),
    CommandSpec("unschedule", "ID", "Forget a recurring request.", "/unschedule sch_01k5"),
    CommandSpec(
        "pause_schedule",
        "ID",
        "Leave a recurring request out for now.",
        "/pause_schedule sch_01k5",
        ("pause-schedule", "pauseschedule"),
    ),
    CommandSpec(
        "resume_schedule",
        "ID",
        "Let a paused recurring request go on.",
        "/resume_schedule sch_01k5",
        ("resume-schedule", "resumeschedule"),
    ),
    CommandSpec("link", "[NAME | CODE [yes]]", "Say who you are on another surface.", "/link ana"),
    CommandSpec(
        "unlink",
        "[SURFACE ID]",
        "Take a linked account away from you; alone, list them.",
        "/unlink slack T0AB12CD/U0EF34GH",
    ),
    CommandSpec("help", "[more | COMMAND]", "Tell what can be said.", "/help more", ("start",), first=True),
)
"""In the order in which a task meets them."""

MORE: Final = "more"
"""The topic of the help that has every command."""
FIRST: Final = tuple(spec for spec in COMMANDS if spec.first)
"""What a short help and a menu show."""

NAMES: Final = {name: spec for spec in COMMANDS for name in (spec.name, *spec.also)}
"""Every name that is understood, to its command."""

HINTS: Final = {
    "pause": ("hold", "pause_schedule"),
    "resume": ("release", "resume_schedule"),
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
    "whoami": ("link",),
    "do": ("task",),
    "fix": ("task",),
    "new": ("task",),
    "request": ("task",),
}
"""Words that people try, to the names of what they mean; they are told, nothing is done."""
