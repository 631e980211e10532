"""The plan of a workflow: which steps run side by side, and the longest way through it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.model.workflow import WorkflowPart, WorkflowStep, parts_of


@dataclass(frozen=True, slots=True)
class Layer:
    """Steps that nothing keeps from running at once; an `approval` stands alone, and a person's time is not counted."""

    steps: tuple[str, ...]
    approval: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """The layers in order; the critical path, how long it takes, and how long all steps take one by one."""

    layers: tuple[Layer, ...]
    critical: tuple[str, ...]
    critical_s: float
    total_s: float

    def to_json(self) -> dict[str, Any]:
        """The plan as ``lane plan --json`` prints it."""
        return {
            "layers": [{"steps": list(layer.steps), "approval": layer.approval} for layer in self.layers],
            "critical_path": list(self.critical),
            "critical_s": self.critical_s,
            "total_s": self.total_s,
        }


def plan_of(steps: Sequence[WorkflowStep], durations_s: Mapping[str, float]) -> Plan:
    """The plan of steps that take this long each; approvals part it, and what is above one is done before it."""
    layers: list[Layer] = []
    critical: list[str] = []
    took_s = 0.0
    for part in parts_of(steps):
        path, path_s = _longest(part, durations_s)
        layers += _layers(part)
        critical += path
        took_s += path_s
        if part.awaits:
            layers.append(Layer((part.awaits,), approval=True))
            critical.append(part.awaits)
    total_s = sum(durations_s[step.name] for part in parts_of(steps) for step in part.steps)
    return Plan(tuple(layers), tuple(critical), took_s, total_s)


def durations_of(steps: Sequence[WorkflowStep], wall_s: int, took_s: Mapping[str, float]) -> dict[str, float]:
    """How long each step takes: as it took before, else at most its own limit, else its lane's."""
    return {step.name: took_s.get(step.name, float(step.wall_s or wall_s)) for step in steps}


def _layers(part: WorkflowPart) -> list[Layer]:
    depth: dict[str, int] = {}
    for step in in_order(part.steps):
        depth[step.name] = 1 + max((depth[need] for need in step.needs if need in depth), default=-1)
    return [
        Layer(tuple(step.name for step in part.steps if depth[step.name] == level))
        for level in range(max(depth.values(), default=-1) + 1)
    ]


def _longest(part: WorkflowPart, durations_s: Mapping[str, float]) -> tuple[list[str], float]:
    """The way through a part that takes longest, and how long; of equals the first in the file."""
    best: dict[str, tuple[float, list[str]]] = {}
    for step in in_order(part.steps):
        ways = [best[need] for need in step.needs if need in best]
        so_far_s, way = max(ways, key=lambda each: each[0], default=(0.0, []))
        best[step.name] = so_far_s + durations_s[step.name], [*way, step.name]
    took_s, way = max(best.values(), key=lambda each: each[0], default=(0.0, []))
    return way, took_s


def in_order(steps: Sequence[WorkflowStep]) -> list[WorkflowStep]:
    """The steps, each after those it needs, else as the file has them; they make no circle."""
    names = {step.name for step in steps}
    ordered: list[WorkflowStep] = []
    left = list(steps)
    while left:
        placed = {step.name for step in ordered}
        free = next(step for step in left if placed.issuperset(names.intersection(step.needs)))
        ordered.append(free)
        left.remove(free)
    return ordered
