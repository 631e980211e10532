"""What people can say to Countersign, as values: one type a command, the same for every surface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from bot.cards.wording import command_prefix, render_advice
from core.model.advice import Advice


@dataclass(frozen=True, slots=True)
class Ask:
    """A new request in plain words; `priority` is between -100 and 100, `parameters` are names and values."""

    text: str
    repo: str | None = None
    lane: str | None = None
    priority: int = 0
    parameters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """The next turn of a task; a `number` of None is the task that the place is about, here and below."""

    number: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Approve:
    """A countersignature; `digest` is lower-case hex, None where only the task was named."""

    number: int | None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """A no; the reason may be empty, which whoever carries it out may refuse."""

    number: int | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Show:
    """A task's card, posted anew."""

    number: int | None


@dataclass(frozen=True, slots=True)
class Diff:
    """The whole diff, or one file's."""

    number: int | None
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Why:
    """Why this lane, this rule and these findings."""

    number: int | None


@dataclass(frozen=True, slots=True)
class Progress:
    """What happened; `since` is a count and one of m, h, d, w, such as ``2h``."""

    number: int | None = None
    since: str | None = None


@dataclass(frozen=True, slots=True)
class Queue:
    """What runs and what comes next."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Start no more work, for a reason."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Release:
    """Let the queue run again."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop a task that is not published."""

    number: int | None


@dataclass(frozen=True, slots=True)
class Undo:
    """Take back a published or merged task."""

    number: int | None


@dataclass(frozen=True, slots=True)
class Merge:
    """Merge a published task's pull request."""

    number: int | None


@dataclass(frozen=True, slots=True)
class Retry:
    """Do the same work once more."""

    number: int | None


@dataclass(frozen=True, slots=True)
class Pick:
    """Only some hunks of what is staged; `what` is for `core.model.hunk_selection`; empty, it asks which there are."""

    number: int | None
    what: str


@dataclass(frozen=True, slots=True)
class Every:
    """A request to be made again and again; `when` is read by `bot.schedule.when`, `zone` is an IANA name."""

    when: str
    text: str
    repo: str | None = None
    lane: str | None = None
    zone: str | None = None
    parameters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Schedules:
    """The recurring requests."""


@dataclass(frozen=True, slots=True)
class Unschedule:
    """Forget a recurring request."""

    id: str


@dataclass(frozen=True, slots=True)
class PauseSchedule:
    """Leave a recurring request out until it is resumed."""

    id: str


@dataclass(frozen=True, slots=True)
class ResumeSchedule:
    """Let a paused recurring request go on."""

    id: str


@dataclass(frozen=True, slots=True)
class Link:
    """Say who one is: `what` is a person's name or a code, None to ask how; `confirmed` says yes to whom it is."""

    what: str | None = None
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Unlink:
    """Take a linked account away from oneself; None to be told which there are."""

    surface: str | None = None
    identity: str | None = None


@dataclass(frozen=True, slots=True)
class Help:
    """What can be said, or more about the command called `topic`."""

    topic: str | None = None


@dataclass(frozen=True, slots=True)
class InvalidCommand:
    """What was meant as a command and is none: why, what to write instead, and the commands it is nearest to.

    `is_number_missing` is true when nothing but the number of a task is missing.
    """

    reason: str | Advice
    mend: str | Advice = ""
    suggestions: tuple[str, ...] = ()
    is_number_missing: bool = False

    @property
    def sentence(self) -> str:
        """The whole of it, where a command begins with a slash alone."""
        return self.sentence_on("")

    def sentence_on(self, surface: str) -> str:
        """The whole of it for a person on `surface`."""
        near = " or ".join(f"{command_prefix(surface)}{name}" for name in self.suggestions)
        reason, mend = render_advice(self.reason, surface), render_advice(self.mend, surface)
        return f"{reason}.{f' Did you mean {near}?' if near else ''}{f' {mend}' if mend else ''}"


Command: TypeAlias = (
    Ask
    | Reply
    | Approve
    | Reject
    | Show
    | Diff
    | Why
    | Progress
    | Queue
    | Hold
    | Release
    | Cancel
    | Undo
    | Merge
    | Retry
    | Pick
    | Every
    | Schedules
    | Unschedule
    | PauseSchedule
    | ResumeSchedule
    | Link
    | Unlink
    | Help
)
