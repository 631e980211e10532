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

    def open_lanes(self, _request: PolicyRequest) -> tuple[str, ...]:
        return (self.lane,)

    def lanes_of(self, _repository: str) -> tuple[str, ...]:
        return (self.lane,)

    def decide(self, request: PolicyRequest) -> Decision:
        """Allow, deny or ask."""
        terms = self.requirements_of(request)
        if self.question is not None and request.lane is None:
            return Decision(Effect.ASK, lambda: "two lanes would do", self.digest, question=self.question)
        if terms is None:
            return Decision(Effect.DENY, lambda: "no rule allows it", self.digest)
        lane = request.lane or self.lane
        return Decision(Effect.ALLOW, lambda: "small enough", self.digest, terms.rule, lane, terms)

    def trace(self, request: PolicyRequest) -> tuple[str, ...]:
        return (self.decide(request).reason,)

    def objection_to_files(self, _lane: str, _terms: ApprovalRequirements, files: Sequence[FileChange]) -> str | None:
        """Paths whose bytes begin with `protects`."""
        held = [file.shown_path for file in files if self.protects and file.path.startswith(self.protects.encode())]
        return f"{held[0]} is protected" if held else None

    def requirements_of(self, request: PolicyRequest) -> ApprovalRequirements | None:
        """The same requirements for everybody it does not refuse."""
        return None if request.person in self.refuses else self.terms
