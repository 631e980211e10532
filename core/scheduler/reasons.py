"""Why the scheduler decided as it did, as a code with its facts and as one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ReasonCode(StrEnum):
    """The rule that made a decision."""

    PROMISED = "promised"
    TURN = "turn"
    BEST_READY = "best_ready"
    BEST_LOAD = "best_load"
    PREFETCH = "prefetch"
    ONLY_READY = "only_ready"
    WAITS_FOR_SLOT = "waits_for_slot"
    WAITS_FOR_LOAD = "waits_for_load"
    WAITS_FOR_MEMORY = "waits_for_memory"
    BEHIND = "behind"
    SPARES = "spares"
    NO_ENDPOINT = "no_endpoint"
    TOO_LARGE = "too_large"


@dataclass(frozen=True, slots=True)
class Reason:
    """A rule with its facts: `value` and `other_value` are the indexes that were compared, the latter of `other`."""

    code: ReasonCode
    family: str = ""
    endpoint: str = ""
    value: float = 0.0
    other: str = ""
    other_value: float = 0.0

    def sentence(self) -> str:
        """The reason in one plain sentence."""
        return _SENTENCES[self.code].format(
            family=self.family,
            endpoint=self.endpoint,
            value=self.value,
            other=self.other or "nothing else",
            other_value=self.other_value,
        )


_SENTENCES = {
    ReasonCode.PROMISED: "It goes first because its promised start is at risk.",
    ReasonCode.TURN: "It goes first because it is this requester's turn.",
    ReasonCode.BEST_READY: "{family} is loaded on {endpoint} and finishes the most work for its weight there.",
    ReasonCode.ONLY_READY: "{family} is loaded on {endpoint} and nothing else waits for that endpoint.",
    ReasonCode.BEST_LOAD: "{family} is loaded on {endpoint}: worth {value:.3f} against {other_value:.3f} for {other}.",
    ReasonCode.PREFETCH: "{family} is loaded on {endpoint} because it is likely to be asked for soon.",
    ReasonCode.WAITS_FOR_SLOT: "{family} is loaded on {endpoint}, which is busy.",
    ReasonCode.WAITS_FOR_LOAD: "{family} is being loaded on {endpoint}.",
    ReasonCode.WAITS_FOR_MEMORY: "{family} needs memory that running work on {endpoint} uses.",
    ReasonCode.BEHIND: (
        "{family} is not loaded, and {other} finishes more work for its weight ({other_value:.3f} against {value:.3f})."
    ),
    ReasonCode.SPARES: "{family} is loaded later: {other} must make room for it, and is asked for often.",
    ReasonCode.NO_ENDPOINT: "No endpoint that serves {family} is up.",
    ReasonCode.TOO_LARGE: "{family} is larger than the memory of every endpoint that is up.",
}
