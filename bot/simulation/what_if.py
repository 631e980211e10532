"""Answers a "what if" within a bounded time, for pages: the same replay as `countersign sim replay`, without output."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from bot.simulation.replays import calibration_problem, without_models
from bot.simulation.scenario import ScenarioOptions, from_requests
from core.model.errors import Kind, PermanentError
from core.simulator.calibration import compare
from core.simulator.cluster import parse_nodes
from core.simulator.policies import COUNTERSIGN, run_policy
from core.simulator.report import report
from core.simulator.simulation import Outcome
from core.simulator.trace import Request
from core.simulator.what_if import WhatIfAnswer, WhatIfQuestion

MAX_REQUESTS: Final = 5_000
"""The newest requests of the history that are replayed."""
MAX_ENDPOINTS: Final = 50
WITHIN_S: Final = 20.0
"""The longest that the answer may take."""


def answer(history: Sequence[Request], question: WhatIfQuestion, within_s: float = WITHIN_S) -> WhatIfAnswer:
    """Replay the history twice.

    Raises `UsageError` for endpoints or a model that cannot be read, and `PermanentError` if it takes too long.
    """
    requests = _newest(history)
    for nodes in (question.today, question.nodes):
        if len(parse_nodes(nodes)) > MAX_ENDPOINTS:
            mend = "Ask `countersign sim replay` in the terminal."
            raise PermanentError("too_many", f"more than {MAX_ENDPOINTS} endpoints are not simulated here", mend)
    until = time.monotonic() + within_s
    notes, before = _run(requests, question.today, until)
    changed = without_models(requests, [question.without] if question.without else [])
    more_notes, after = _run(changed, question.nodes, until)
    problem = calibration_problem(compare(before))
    return WhatIfAnswer(
        len(requests), report(before), report(after), problem, tuple(dict.fromkeys((*notes, *more_notes)))
    )


def _run(requests: Sequence[Request], nodes: str, until: float) -> tuple[tuple[str, ...], Outcome]:
    def still_in_time(_finished: int) -> None:
        if time.monotonic() > until:
            mend = "Ask for fewer days, or `countersign sim replay` in the terminal."
            raise PermanentError("too_slow", "the simulation takes too long for a page", mend, kind=Kind.UNAVAILABLE)

    scenario = from_requests("history", requests, ScenarioOptions(nodes=nodes), {})
    return scenario.notes, run_policy(COUNTERSIGN, scenario.cluster, scenario.requests, None, still_in_time)


def _newest(history: Sequence[Request]) -> list[Request]:
    """The newest `MAX_REQUESTS`, with times that begin with the first of them."""
    kept = history[-MAX_REQUESTS:]
    zero_s = kept[0].arrival_s if kept else 0.0

    def moved(at_s: float | None) -> float | None:
        return None if at_s is None else at_s - zero_s

    return [
        replace(
            each,
            arrival_s=each.arrival_s - zero_s,
            deadline_s=moved(each.deadline_s),
            start_s=moved(each.start_s),
            finish_s=moved(each.finish_s),
        )
        for each in kept
    ]
