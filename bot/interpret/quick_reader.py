"""Interprets a text immediately, without a model: by the grammar and the list of courtesies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from core.model.edits import Edit
from core.model.intent import Idle, Unclear
from core.model.lane import Lane
from core.ports.executor import Executor


@dataclass(frozen=True, slots=True)
class QuickReader:
    """The `Reader` of a home; imports the grammar on first use, because most commands do not need it."""

    has_model: Callable[[], bool]
    executors: Callable[[], Mapping[str, Executor]]

    def read(self, text: str) -> tuple[Edit, ...] | Idle | Unclear:
        """The edits that `text` asks for, that it asks for nothing, or why it is not understood."""
        from bot.interpret.courtesy import is_courtesy, sounds_like_approval
        from bot.interpret.grammar import NotUnderstood, parse
        from bot.interpret.grammar.tokens import hidden_text_warning
        from bot.interpret.grammar_interpreter import strip_opening

        read = parse(strip_opening(text))
        if not isinstance(read, NotUnderstood):
            return read
        if is_courtesy(text):
            return Idle(sounds_like_approval(text))
        return Unclear(hidden_text_warning(text) or read.reason, read.can)

    def asks_a_model(self) -> bool:
        """Whether a model is configured to interpret what the grammar cannot."""
        return self.has_model()

    def edits_by_rule(self, lane: Lane) -> bool:
        """Whether the lane's executor is deterministic and can only make known edits."""
        from core.rules.lane_availability import LaneAvailability

        return LaneAvailability(self.executors()).edits_by_rule(lane)

    def takes_any_wording(self, lane: Lane, living: Sequence[frozenset[str]]) -> bool:
        """Whether the lane's executor accepts any wording, here or on a live worker."""
        from core.rules.lane_availability import LaneAvailability

        return LaneAvailability(self.executors(), living).takes_any_wording(lane)
