"""Metrics: what a home measures of itself, as named numbers with few labels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MetricSample:
    """One number; the values of its labels are in the order in which the metric names them.

    Labels never contain the number of a task, a person or a path: their values are few, and no one's secret.
    """

    metric: str
    labels: tuple[str, ...]
    value: float
