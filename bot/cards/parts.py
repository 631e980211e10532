"""The parts of a card: facts that the host worked out, and words that are quoted as somebody's."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bot.cards.risk import RiskLevel
from core.model.advice import Advice, Suggestion
from core.model.lifecycle import State
from core.model.staged_diff import GuardVerdict

ICONS: dict[State, str] = {
    State.RECEIVED: "👀",
    State.ASKING: "❓",
    State.QUEUED: "🕒",
    State.RUNNING: "🔨",
    State.STAGED: "⏳",
    State.APPROVED: "👍",
    State.PUBLISHED: "🚀",
    State.MERGED: "✅",
    State.REFUSED: "⛔",
    State.REJECTED: "❌",
    State.EXPIRED: "⌛",
    State.FAILED: "💥",
    State.CANCELLED: "🚫",
    State.CLOSED: "🔒",
}
"""One picture a state, all two cells wide."""

ARTIFACTS_LABEL: Final = "receipt, diff and logs"
"""What is kept beside a pull request, where `PullRequestPart.files` leads."""


class ActionKind(StrEnum):
    """What a person can do with a card."""

    APPROVE = "approve"
    REJECT = "reject"
    ANSWER = "answer"
    REPLY = "reply"
    DIFF = "diff"
    MERGE = "merge"
    UNDO = "undo"
    CANCEL = "cancel"
    SHOW = "show"
    WHY = "why"
    PICK = "pick"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that is possible now: a button's `label`, and the `command` to type, which each surface words."""

    kind: ActionKind
    label: str
    command: Suggestion


@dataclass(frozen=True, slots=True)
class FileRow:
    """One changed file. `added` and `removed` count lines, None where there are none to count."""

    path: str
    status: str
    added: int | None
    removed: int | None
    flags: tuple[str, ...]
    level: RiskLevel

    @property
    def risky(self) -> bool:
        """True when it is shown before the others."""
        return self.level is not RiskLevel.LOW


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One of the guard's checks, its findings folded into the worst; `details` are of those that did not pass."""

    name: str
    verdict: GuardVerdict
    details: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Quote:
    """Words that are not ours; `says` is who wrote them and how: ``ana asked``, ``the model qwen3-coder says``."""

    says: str
    text: str
    by_model: bool = False


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """A person's verdict on the digest shown."""

    person: str
    approved: bool
    surface: str
    when: str
    reason: str


@dataclass(frozen=True, slots=True)
class NeededApproval:
    """What the staged diff still needs; `sentence` says all of it."""

    count: int
    of: tuple[str, ...]
    have: tuple[str, ...]
    sentence: str


@dataclass(frozen=True, slots=True)
class StagedPart:
    """The thing to countersign. `digest` is all 64 hex digits, `short` the beginning that people type."""

    digest: str
    short: str
    base: str
    files: tuple[FileRow, ...]
    added: int
    removed: int
    checks: tuple[CheckRow, ...]

    @property
    def passed(self) -> str:
        """How many checks passed: ``14 checks``, or ``13 of 14 checks``; empty without any."""
        counted = [check for check in self.checks if not check.note]
        passed = sum(1 for check in counted if check.verdict is GuardVerdict.PASS)
        of = f" of {len(counted)}" if passed < len(counted) else ""
        return f"{passed}{of} check{'' if len(counted) == 1 else 's'}" if counted else ""

    @property
    def named(self) -> tuple[CheckRow, ...]:
        """The checks to name beside `passed`: those that did not pass, then those that counted something."""
        failed = [check for check in self.checks if check.verdict is not GuardVerdict.PASS]
        return (*failed, *(check for check in self.checks if check.note and check.verdict is GuardVerdict.PASS))


@dataclass(frozen=True, slots=True)
class QuestionPart:
    """The question the task waits on; its answers are among the card's actions."""

    text: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProblemPart:
    """What went wrong and the mend, whose commands each surface words (`bot.cards.wording`)."""

    code: str
    message: str
    mend: str | Advice


@dataclass(frozen=True, slots=True)
class PullRequestPart:
    """The pull request; `of_revision` is set when it carries an earlier revision than the card's.

    `checks` says how it stands there, `files` is where its artifacts can be seen.
    """

    number: int
    state: str
    branch: str
    head: str
    url: str
    of_revision: int | None
    checks: str = ""
    files: str = ""


@dataclass(frozen=True, slots=True)
class TicketLink:
    """A ticket that the request names; `url` is made of the configuration and the key alone."""

    key: str
    url: str


@dataclass(frozen=True, slots=True)
class HiddenContent:
    """What a surface left out: it showed `files_shown` of `files`, and not `lines` of the diff (None: none of it)."""

    files_shown: int
    files: int
    lines: int | None

    @property
    def anything(self) -> bool:
        """True unless everything was shown."""
        return self.lines is None or self.lines > 0 or self.files_shown < self.files

    @property
    def sentence(self) -> str:
        """The same in words, empty when nothing is hidden."""
        said = []
        if self.files_shown < self.files:
            said.append(f"{self.files_shown} of {self.files} files shown")
        if self.lines is None:
            said.append("the diff is not shown here")
        elif self.lines:
            said.append(f"{self.lines} lines of the diff are not shown here")
        return "; ".join(said)
