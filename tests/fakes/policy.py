"""A policy that answers with the terms it was given."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.decision import Decision, Effect, Petition, Terms
from core.turn import Question


@dataclass(slots=True)
class FakePolicy:
    """Allows everybody the lane `lane` under `terms`; `terms` None denies, `question` asks first.

    `refuses` are people it denies whatever the terms. A test changes the fields as an operator edits a file.
    """

    terms: Terms | None
    lane: str = "config"
    digest: str = "0" * 64
    question: Question | None = None
    refuses: set[str] = field(default_factory=set)

    def open_lanes(self, _petition: Petition) -> tuple[str, ...]:
        return (self.lane,)

    def decide(self, petition: Petition) -> Decision:
        """Allow, deny or ask."""
        terms = self.terms_of(petition)
        if self.question is not None and petition.lane is None:
            return Decision(Effect.ASK, "two lanes would do", self.digest, question=self.question)
        if terms is None:
            return Decision(Effect.DENY, "no rule allows it", self.digest)
        return Decision(Effect.ALLOW, "small enough", self.digest, terms.rule, petition.lane or self.lane, terms)

    def terms_of(self, petition: Petition) -> Terms | None:
        """The same terms for everybody it does not refuse."""
        return None if petition.person in self.refuses else self.terms
