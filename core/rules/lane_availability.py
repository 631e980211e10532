"""Which lanes can work now: by the executors of this process, and by what living workers offer. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from core.model.errors import Kind, Problem
from core.model.lane import Lane
from core.ports import Executor, LaneOffer


@dataclass(frozen=True, slots=True)
class LaneAvailability:
    """What is known of the lanes' executors; `living` are the capabilities of each worker that lives.

    With `assumed` every lane is taken to run: for requests that are worked on later, or where executors are not known.
    """

    executors: Mapping[str, Executor] = field(default_factory=dict)
    living: Sequence[frozenset[str]] = ()
    assumed: bool = False

    def obstacle(self, lane: Lane) -> Problem | None:
        """Why no worker can work in the lane now, or None."""
        if self.assumed:
            return None
        executor = self.executors.get(lane.executor)
        if executor is None:
            return Problem(
                Kind.REFUSED,
                "no_executor",
                f"for lane {lane.name} there is no executor {lane.executor}; "
                f"there are: {', '.join(sorted(self.executors))}",
                "Ask for a deterministic edit in another lane, or configure that executor.",
            )
        problem = executor.unavailable(lane)
        if problem is None or self._works_elsewhere(executor, lane, problem):
            return None
        return replace(problem, kind=Kind.REFUSED)

    def can_run(self, lane: Lane) -> bool:
        """Whether this worker, or another living one, can work in the lane now."""
        return self.obstacle(lane) is None

    def takes_any_wording(self, lane: Lane) -> bool:
        """Whether the lane can run now, and its executor works from any wording, as a model does."""
        executor = self.executors.get(lane.executor)
        return executor is not None and executor.reads and self.can_run(lane)

    def edits_by_rule(self, lane: Lane) -> bool:
        """Whether the lane's executor makes known edits and nothing else."""
        executor = self.executors.get(lane.executor)
        return executor is not None and executor.deterministic

    def reads_text(self, lane: Lane | None) -> bool:
        """Whether a request's text is read into edits before the work; `lane` is the one that was named, if any.

        Any other executor is given the words as they are.
        """
        return lane is None or self.edits_by_rule(lane)

    def offer(self, lane: Lane) -> LaneOffer:
        """The lane as an interpreter is offered it."""
        return LaneOffer(lane.name, lane.describe, lane.write, self.takes_any_wording(lane))

    def _works_elsewhere(self, executor: Executor, lane: Lane, problem: Problem) -> bool:
        """Whether another living worker has what is missing here; a wrong configuration is wrong for all of them."""
        if problem.kind is not Kind.UNAVAILABLE:
            return False
        return any(executor.needs(lane) <= offers for offers in self.living)


ASSUMED = LaneAvailability(assumed=True)
"""Where nothing is known of executors: every lane is taken to run."""
