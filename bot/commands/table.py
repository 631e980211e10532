"""The one table of commands: their names, how they are written, and a sentence of help each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Spec:
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
    Spec(
        "task",
        "TEXT [--repo NAME] [--lane LANE] [--set NAME=VALUE] [--priority N]",
        "Ask for a change in plain words.",
        "/task set server.timeout to 30 in config/app.yaml --repo web",
        ("ask",),
        first=True,
    ),
    Spec(
        "reply",
        "N TEXT",
        "Say more about a task; that makes its next revision.",
        "/reply 12 make it 45 instead",
        first=True,
    ),
    Spec(
        "approve",
        "N DIGEST",
        "Countersign exactly the bytes that a digest names.",
        "/approve 12 9c1e04ab77d2e85b1f36",
        first=True,
    ),
    Spec("reject", "N REASON", "Say no to what is staged, and why.", "/reject 12 the heading is wrong", first=True),
    Spec("show", "N", "Show a task's card again.", "/show 12"),
    Spec("diff", "N [PATH]", "Show the whole diff, or that of one file.", "/diff 12 docs/install.md"),
    Spec("why", "N", "Tell why this lane, this rule and these findings.", "/why 12"),
    Spec(
        "pick",
        "N [HUNKS]",
        "Keep only some hunks or files of what is staged; alone, list them.",
        "/pick 12 1,3-5 not 4",
    ),
    Spec(
        "progress",
        "[N] [--since 2h]",
        "Tell what happened to a task, or how far yours are.",
        "/progress 12 --since 2h",
    ),
    Spec("retry", "N", "Do a task's work once more.", "/retry 12"),
    Spec("cancel", "N", "Stop a task that is not published.", "/cancel 12"),
    Spec("merge", "N", "Merge a published task's pull request.", "/merge 12"),
    Spec("undo", "N", "Take a task back: close it, or revert it through the same gate.", "/undo 12"),
    Spec("queue", "", "Show what runs and what comes next.", "/queue"),
    Spec("hold", "[REASON]", "Start no more work until it is released.", "/hold the build machines move"),
    Spec("release", "", "Let a held queue run again.", "/release"),
    Spec(
        "every",
        '"WHEN" [in ZONE] TEXT [--repo NAME] [--lane LANE] [--set NAME=VALUE]',
        "Ask for a change again and again.",
        '/every "weekday 09:00" in Europe/Zurich bump ruff to 0.14.0 in requirements.txt',
    ),
    Spec("schedules", "", "List the recurring requests.", "/schedules"),
    Spec("unschedule", "ID", "Forget a recurring request.", "/unschedule sch_01k5"),
    Spec(
        "pause_schedule",
        "ID",
        "Leave a recurring request out for now.",
        "/pause_schedule sch_01k5",
        ("pause-schedule", "pauseschedule"),
    ),
    Spec(
        "resume_schedule",
        "ID",
        "Let a paused recurring request go on.",
        "/resume_schedule sch_01k5",
        ("resume-schedule", "resumeschedule"),
    ),
    Spec("link", "[NAME | CODE [yes]]", "Say who you are on another surface.", "/link ana"),
    Spec(
        "unlink",
        "[SURFACE ID]",
        "Take a linked account away from you; alone, list them.",
        "/unlink slack T0AB12CD/U0EF34GH",
    ),
    Spec("help", "[more | COMMAND]", "Tell what can be said.", "/help more", ("start",), first=True),
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
