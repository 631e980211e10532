"""Plans a workflow: which steps run in parallel, and its critical path; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.model.workflow import WorkflowPart, WorkflowStep, parts_of


@dataclass(frozen=True, slots=True)
class PlanLayer:
    """Steps that can run in parallel; an `approval` is alone in its layer and takes no time."""

    steps: tuple[str, ...]
    approval: bool = False


@dataclass(frozen=True, slots=True)
class WorkflowPlan:
    """The layers in order, the critical path with its duration, and the total duration of all steps."""

    layers: tuple[PlanLayer, ...]
    critical_path: tuple[str, ...]
    critical_s: float
    total_s: float

    def to_json(self) -> dict[str, Any]:
        """The plan as ``lane plan --json`` prints it."""
        return {
            "layers": [{"steps": list(layer.steps), "approval": layer.approval} for layer in self.layers],
            "critical_path": list(self.critical_path),
            "critical_s": self.critical_s,
            "total_s": self.total_s,
        }


def plan_workflow(steps: Sequence[WorkflowStep], durations_s: Mapping[str, float]) -> WorkflowPlan:
    """Plan steps with these durations; everything before an approval finishes before anything after it starts."""
    layers: list[PlanLayer] = []
    critical: list[str] = []
    took_s = 0.0
    for part in parts_of(steps):
        path, path_s = _critical_path(part, durations_s)
        layers += _layers(part)
        critical += path
        took_s += path_s
        if part.awaits:
            layers.append(PlanLayer((part.awaits,), approval=True))
            critical.append(part.awaits)
    total_s = sum(durations_s[step.name] for part in parts_of(steps) for step in part.steps)
    return WorkflowPlan(tuple(layers), tuple(critical), took_s, total_s)


def step_durations(steps: Sequence[WorkflowStep], wall_s: int, took_s: Mapping[str, float]) -> dict[str, float]:
    """The duration of each step: the measured one, else the step's limit, else the lane's."""
    return {step.name: took_s.get(step.name, float(step.wall_s or wall_s)) for step in steps}


def _layers(part: WorkflowPart) -> list[PlanLayer]:
    depth: dict[str, int] = {}
    for step in ordered(part.steps):
        depth[step.name] = 1 + max((depth[need] for need in step.needs if need in depth), default=-1)
    return [
        PlanLayer(tuple(step.name for step in part.steps if depth[step.name] == level))
        for level in range(max(depth.values(), default=-1) + 1)
    ]


def _critical_path(part: WorkflowPart, durations_s: Mapping[str, float]) -> tuple[list[str], float]:
    """The path through a part that takes longest, and its duration; on a tie the first in the file."""
    best: dict[str, tuple[float, list[str]]] = {}
    for step in ordered(part.steps):
        paths = [best[need] for need in step.needs if need in best]
        so_far_s, path = max(paths, key=lambda candidate: candidate[0], default=(0.0, []))
        best[step.name] = so_far_s + durations_s[step.name], [*path, step.name]
    took_s, path = max(best.values(), key=lambda candidate: candidate[0], default=(0.0, []))
    return path, took_s


def ordered(steps: Sequence[WorkflowStep]) -> list[WorkflowStep]:
    """The steps in topological order, otherwise in file order; they must have no cycle."""
    names = {step.name for step in steps}
    result: list[WorkflowStep] = []
    remaining = list(steps)
    while remaining:
        placed = {step.name for step in result}
        next_step = next(step for step in remaining if placed.issuperset(names.intersection(step.needs)))
        result.append(next_step)
        remaining.remove(next_step)
    return result
