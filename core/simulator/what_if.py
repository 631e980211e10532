"""The answer to a "what if": the figures of a history on the endpoints of today, and on others."""

from __future__ import annotations

from dataclasses import dataclass

from core.model.errors import Problem
from core.simulator.report import Report


@dataclass(frozen=True, slots=True)
class WhatIfQuestion:
    """What is asked: `nodes` in the place of `today`, both as `countersign sim` reads them, and perhaps a model less.

    `without` is ``NAME``, which leaves its requests out, or ``NAME=OTHER``, which gives them to another model.
    """

    today: str
    nodes: str
    without: str = ""
    days: int = 7


@dataclass(frozen=True, slots=True)
class WhatIfAnswer:
    """The figures of both runs; `problem` says why they are no advice, `notes` what was assumed."""

    requests: int
    before: Report
    after: Report
    problem: Problem | None
    notes: tuple[str, ...]
