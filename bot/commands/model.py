"""The commands as values: one class per command, the same for every surface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from bot.cards.problem_text import command_prefix, render_advice
from core.model.advice import Advice


@dataclass(frozen=True, slots=True)
class Ask:
    """A new request in plain words; `priority` is between -100 and 100, `parameters` are (name, value) pairs."""

    text: str
    repo: str | None = None
    lane: str | None = None
    priority: int = 0
    parameters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """The next turn of a task; a `number` of None means the task of the conversation, here and below."""

    number: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Approve:
    """An approval; `digest` is lower-case hex, None if only the task was named."""

    number: int | None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """A rejection; the reason may be empty, which the use case may refuse."""

    number: int | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Show:
    """Post a task's card again."""

    number: int | None


@dataclass(frozen=True, slots=True)
class Diff:
    """Show the whole diff, or one file's."""

    number: int | None
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Why:
    """Explain the lane, the rule and the findings."""

    number: int | None


@dataclass(frozen=True, slots=True)
class Progress:
    """Show what happened; `since` is a number with m, h, d or w, such as ``2h``."""

    number: int | None = None
    since: str | None = None


@dataclass(frozen=True, slots=True)
class Queue:
    """Show what runs and what comes next."""


@dataclass(frozen=True, slots=True)
class ShowGpus:
    """Show the model servers, their GPUs and what they have loaded."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Pause the queue, for a reason; with `scope` (``lane``, ``repo`` or ``endpoint``) only what is called `name`."""

    reason: str = ""
    scope: str | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Release:
    """Resume the queue, or what was paused with a `scope`."""

    scope: str | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Move:
    """Move the waiting job of a task: `to` is ``first``, ``last``, or ``before`` the job of the task `before`."""

    number: int | None
    to: str
    before: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel a task that is not published."""

    number: int | None


@dataclass(frozen=True, slots=True)
class Extend:
    """Extend the budget of a task that asks for it; without amounts, by as much again as it had."""

    number: int | None
    tokens: int = 0
    steps: int = 0
    usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Undo:
    """Revert a published or merged task."""

    number: int | None


@dataclass(frozen=True, slots=True)
class Merge:
    """Merge a published task's pull request."""

    number: int | None


@dataclass(frozen=True, slots=True)
class Retry:
    """Repeat the work of a task."""

    number: int | None


@dataclass(frozen=True, slots=True)
class Pick:
    """Keep only some hunks of the staged diff (`core.model.hunk_selection`); an empty `selection` lists the hunks."""

    number: int | None
    selection: str


@dataclass(frozen=True, slots=True)
class Every:
    """A recurring request; `when` is read by `bot.schedule.recurrence`, `zone` is an IANA name."""

    when: str
    text: str
    repo: str | None = None
    lane: str | None = None
    zone: str | None = None
    parameters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ListSchedules:
    """List the recurring requests."""


@dataclass(frozen=True, slots=True)
class Unschedule:
    """Delete a recurring request."""

    id: str


@dataclass(frozen=True, slots=True)
class PauseSchedule:
    """Skip a recurring request until it is resumed."""

    id: str


@dataclass(frozen=True, slots=True)
class ResumeSchedule:
    """Resume a paused recurring request."""

    id: str


@dataclass(frozen=True, slots=True)
class Link:
    """Link an account by a person's name or a code, None to ask how; `confirmed` confirms the person."""

    name_or_code: str | None = None
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Unlink:
    """Remove a linked account of one's own; None lists them."""

    surface: str | None = None
    identity: str | None = None


@dataclass(frozen=True, slots=True)
class OpenWeb:
    """Send a link that signs a browser in."""


@dataclass(frozen=True, slots=True)
class Help:
    """List the commands, or explain the one called `topic`."""

    topic: str | None = None


@dataclass(frozen=True, slots=True)
class InvalidCommand:
    """A line that was meant as a command but is not one: why, how to fix it, and the closest commands.

    `is_number_missing` is true if only the task's number is missing.
    """

    reason: str | Advice
    mend: str | Advice = ""
    suggestions: tuple[str, ...] = ()
    is_number_missing: bool = False

    @property
    def sentence(self) -> str:
        """The whole message, for surfaces where commands begin with a slash."""
        return self.sentence_on("")

    def sentence_on(self, surface: str) -> str:
        """The whole message for a person on `surface`."""
        candidates = " or ".join(f"{command_prefix(surface)}{name}" for name in self.suggestions)
        reason, mend = render_advice(self.reason, surface), render_advice(self.mend, surface)
        return f"{reason}.{f' Did you mean {candidates}?' if candidates else ''}{f' {mend}' if mend else ''}"


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
    | ShowGpus
    | Hold
    | Release
    | Move
    | Cancel
    | Extend
    | Undo
    | Merge
    | Retry
    | Pick
    | Every
    | ListSchedules
    | Unschedule
    | PauseSchedule
    | ResumeSchedule
    | Link
    | Unlink
    | OpenWeb
    | Help
)
