"""The parts of a card: facts computed by the host, and quoted text with its author."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from core.model.advice import Advice, Suggestion
from core.model.lifecycle import State
from core.model.risk import RiskLevel
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
"""One icon per state, all two cells wide."""

WORKING: Final = (State.RECEIVED, State.QUEUED, State.RUNNING, State.APPROVED)
"""States in which Countersign works on the task."""

ARTIFACTS_LABEL: Final = "receipt, diff and logs"
"""The label of `PullRequestPart.artifacts_url`."""


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
    EXTEND = "extend"
    SHOW = "show"
    WHY = "why"
    PICK = "pick"


@dataclass(frozen=True, slots=True)
class Action:
    """A possible action: a button's `label`, and the `command` to type, which each surface renders.

    `value` is what its button stands for beside the task, if anything.
    """

    kind: ActionKind
    label: str
    command: Suggestion
    value: str = ""


@dataclass(frozen=True, slots=True)
class FileRow:
    """One changed file; `added` and `removed` count lines, None for a binary."""

    path: str
    status: str
    added: int | None
    removed: int | None
    flags: tuple[str, ...]
    level: RiskLevel

    @property
    def is_risky(self) -> bool:
        """Whether it is shown before the others."""
        return self.level is not RiskLevel.LOW


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One of the guard's checks with its worst verdict; `details` are those of the findings that did not pass."""

    name: str
    verdict: GuardVerdict
    details: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Quote:
    """Quoted text; `attribution` says who wrote it: ``ana asked``, ``the model qwen3-coder says``."""

    attribution: str
    text: str
    is_from_model: bool = False


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """A person's decision on the digest shown."""

    person: str
    is_approval: bool
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
    """The staged diff; `digest` has all 64 hex digits, `short_digest` those that people type."""

    digest: str
    short_digest: str
    base: str
    files: tuple[FileRow, ...]
    added: int
    removed: int
    checks: tuple[CheckRow, ...]

    @property
    def passed_summary(self) -> str:
        """How many checks passed: ``14 checks``, or ``13 of 14 checks``; empty without any."""
        counted = [check for check in self.checks if not check.note]
        passed = sum(1 for check in counted if check.verdict is GuardVerdict.PASS)
        total = f" of {len(counted)}" if passed < len(counted) else ""
        return f"{passed}{total} check{'' if len(counted) == 1 else 's'}" if counted else ""

    @property
    def named_checks(self) -> tuple[CheckRow, ...]:
        """The checks to name beside the summary: those that did not pass, then those that counted something."""
        failed = [check for check in self.checks if check.verdict is not GuardVerdict.PASS]
        return (*failed, *(check for check in self.checks if check.note and check.verdict is GuardVerdict.PASS))


@dataclass(frozen=True, slots=True)
class QuestionPart:
    """The question that the task waits on; its answers are among the card's actions."""

    text: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProblemPart:
    """What went wrong and how to fix it; each surface renders the commands (`bot.cards.problem_text`)."""

    code: str
    message: str
    mend: str | Advice


@dataclass(frozen=True, slots=True)
class PullRequestPart:
    """The pull request; `revision` is set if it carries an earlier revision than the card's.

    `checks` summarises its checks, `artifacts_url` is where its artifacts can be seen.
    """

    number: int
    state: str
    branch: str
    head: str
    url: str
    revision: int | None
    checks: str = ""
    artifacts_url: str = ""


@dataclass(frozen=True, slots=True)
class TicketLink:
    """A ticket that the request names; `url` is built from the configuration and the key alone."""

    key: str
    url: str


@dataclass(frozen=True, slots=True)
class HiddenContent:
    """What a surface omits: it shows `shown_files` of `total_files`, and omits `hidden_lines` of the diff.

    `hidden_lines` None means that none of the diff is shown.
    """

    shown_files: int
    total_files: int
    hidden_lines: int | None

    @property
    def is_partial(self) -> bool:
        """Whether anything is omitted."""
        return self.hidden_lines is None or self.hidden_lines > 0 or self.shown_files < self.total_files

    @property
    def sentence(self) -> str:
        """The same in words; empty if nothing is omitted."""
        facts = []
        if self.shown_files < self.total_files:
            facts.append(f"{self.shown_files} of {self.total_files} files shown")
        if self.hidden_lines is None:
            facts.append("the diff is not shown here")
        elif self.hidden_lines:
            facts.append(f"{self.hidden_lines} lines of the diff are not shown here")
        return "; ".join(facts)


def revision_label(number: object, revision: int) -> str:
    """The name of a revision: ``#142``, from the second one on ``#142.2``."""
    return f"#{number}" if revision == 1 else f"#{number}.{revision}"
