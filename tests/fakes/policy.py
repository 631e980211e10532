"""A policy that answers with the terms it was given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from core.model.change import FileChange
from core.model.decision import ApprovalRequirements, Decision, Effect, PolicyRequest
from core.model.turn import Question


@dataclass(slots=True)
class FakePolicy:
    """Allows everybody the lane `lane` under `terms`; `terms` None denies, `question` asks first.

    `refuses` are people it denies whatever the terms;
    `protects` begins the paths that no lane may change. A test changes the fields as an operator edits a file.
    """

    terms: ApprovalRequirements | None
    lane: str = "config"
    digest: str = "0" * 64
    question: Question | None = None
    refuses: set[str] = field(default_factory=set)
    protects: str = ""

    def open_lanes(self, _petition: PolicyRequest) -> tuple[str, ...]:
        return (self.lane,)

    def decide(self, petition: PolicyRequest) -> Decision:
        """Allow, deny or ask."""
        terms = self.terms_of(petition)
        if self.question is not None and petition.lane is None:
            return Decision(Effect.ASK, "two lanes would do", self.digest, question=self.question)
        if terms is None:
            return Decision(Effect.DENY, "no rule allows it", self.digest)
        return Decision(Effect.ALLOW, "small enough", self.digest, terms.rule, petition.lane or self.lane, terms)

    def hindrance(self, _lane: str, _terms: ApprovalRequirements, files: Sequence[FileChange]) -> str | None:
        """Paths that begin with `protects`."""
        held = [file.shown_path for file in files if self.protects and file.shown_path.startswith(self.protects)]
        return f"{held[0]} is protected" if held else None

    def terms_of(self, petition: PolicyRequest) -> ApprovalRequirements | None:
        """The same terms for everybody it does not refuse."""
        return None if petition.person in self.refuses else self.terms
