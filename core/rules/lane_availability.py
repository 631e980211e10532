"""Which lanes can run now, by the executors of this process and the capabilities of living workers. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from core.model.errors import Kind, Problem
from core.model.lane import Lane
from core.ports.executor import Executor
from core.ports.interpretation import LaneOffer


@dataclass(frozen=True, slots=True)
class LaneAvailability:
    """The executors of this process, and in `living` the capabilities of each living worker.

    With `assumed` every lane counts as able to run: for later requests, or where the executors are not known.
    """

    executors: Mapping[str, Executor] = field(default_factory=dict)
    living: Sequence[frozenset[str]] = ()
    assumed: bool = False

    def obstacle(self, lane: Lane) -> Problem | None:
        """Why no worker can run the lane now, or None."""
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
        """Whether this worker, or another living one, can run the lane now."""
        return self.obstacle(lane) is None

    def takes_any_wording(self, lane: Lane) -> bool:
        """Whether the lane can run now and its executor takes any wording, as a model does."""
        executor = self.executors.get(lane.executor)
        return executor is not None and executor.reads and self.can_run(lane)

    def edits_by_rule(self, lane: Lane) -> bool:
        """Whether the lane's executor only makes known edits."""
        executor = self.executors.get(lane.executor)
        return executor is not None and executor.deterministic

    def reads_text(self, lane: Lane | None) -> bool:
        """Whether a request's text is read into edits before the work; `lane` is the one that the request names.

        Other executors get the text as it is.
        """
        return lane is None or self.edits_by_rule(lane)

    def offer(self, lane: Lane) -> LaneOffer:
        """The lane in the form that interpreters get."""
        return LaneOffer(lane.name, lane.describe, lane.write, self.takes_any_wording(lane))

    def _works_elsewhere(self, executor: Executor, lane: Lane, problem: Problem) -> bool:
        """Whether another living worker has what is missing here; a wrong configuration is wrong for every worker."""
        if problem.kind is not Kind.UNAVAILABLE:
            return False
        return any(executor.needs(lane) <= offers for offers in self.living)


ASSUMED = LaneAvailability(assumed=True)
"""For use where the executors are not known: every lane counts as able to run."""
