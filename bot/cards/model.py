"""The card of a task as a value: everything that a surface may show of one revision."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bot.cards.parts import (
    Action,
    ActionKind,
    DecisionRow,
    HiddenContent,
    NeededApproval,
    ProblemPart,
    PullRequestPart,
    QuestionPart,
    Quote,
    StagedPart,
    TicketLink,
)
from core.model.lifecycle import State
from core.model.risk import RiskLevel


@dataclass(frozen=True, slots=True)
class Card:
    """Everything shown of one revision of a task; every text is `visible` already, and all facts come from the host.

    `byline` says who, where and since when, as separate facts; `rule` names the rule and the reason. `risk` summarises
    the files and the guard; None until something is staged. `superseded_note` names the revision that replaced this
    one.
    """

    number: int
    revision: int
    icon: str
    label: str
    state: State
    lane: str
    title: str
    risk: RiskLevel | None
    byline: tuple[str, ...]
    rule: str
    quotes: tuple[Quote, ...]
    staged: StagedPart | None
    needs: tuple[NeededApproval, ...]
    decisions: tuple[DecisionRow, ...]
    expiry: str
    question: QuestionPart | None
    problem: ProblemPart | None
    last_failure: str
    pull_request: PullRequestPart | None
    actions: tuple[Action, ...]
    superseded_note: str
    hidden_content: HiddenContent | None = None
    tickets: tuple[TicketLink, ...] = ()

    @property
    def awaits_approval(self) -> bool:
        """Whether there is a diff to approve."""
        return self.state is State.STAGED and self.staged is not None and not self.superseded_note

    def limited_to(self, files: int, hidden_lines: int | None) -> Card:
        """The card for a surface that shows `files` file rows and omits `hidden_lines` diff lines (None: all).

        A diff with hidden lines cannot be approved from the card: the diff action replaces Approve (security.md 42).
        File rows may be omitted, because the whole diff contains every file.
        """
        if hidden_lines == 0:  # the diff is complete, so no action needs to show it
            without_diff = tuple(action for action in self.actions if action.kind is not ActionKind.DIFF)
            return replace(self._with_hidden(files, hidden_lines), actions=without_diff)
        if not self.awaits_approval:
            return self
        allowed = (action for action in self.actions if action.kind is not ActionKind.APPROVE)
        actions = tuple(sorted(allowed, key=lambda a: a.kind is not ActionKind.DIFF))
        return replace(self._with_hidden(files, hidden_lines), actions=actions)

    def _with_hidden(self, files: int, hidden_lines: int | None) -> Card:
        if self.staged is None or not self.awaits_approval:
            return self
        return replace(self, hidden_content=HiddenContent(files, len(self.staged.files), hidden_lines))
