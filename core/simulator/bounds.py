"""Bounds: what would be possible if every family were resident everywhere at no cost."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

from core.simulator.cluster import Cluster
from core.simulator.machine import NEVER
from core.simulator.simulation import Outcome
from core.simulator.trace import Request


def zero_swap(cluster: Cluster, requests: Sequence[Request], *, shortest_first: bool) -> Outcome:
    """Run the requests on the cluster's slots without any load: the shortest first, or first come, first served."""
    work = [cluster.work_s(each) for each in requests]
    number = len(work)
    order: Callable[[int], float] = work.__getitem__ if shortest_first else lambda i: requests[i].arrival_s
    outcome = Outcome(requests, work, [NEVER] * number, [NEVER] * number, [NEVER] * number)
    outcome.endpoints = len(cluster.endpoints)
    free = [0.0] * sum(each.slots for each in cluster.endpoints)
    waiting: list[tuple[float, int]] = []
    arriving, now_s = 0, 0.0
    for _ in range(number):
        now_s = max(now_s, heapq.heappop(free))  # a slot that was free before is free when something waits for it
        if not waiting:
            now_s = max(now_s, requests[arriving].arrival_s)
        while arriving < number and requests[arriving].arrival_s <= now_s:
            heapq.heappush(waiting, (order(arriving), arriving))
            arriving += 1
        _, first = heapq.heappop(waiting)
        outcome.start_s[first], outcome.finish_s[first] = now_s, now_s + work[first]
        heapq.heappush(free, now_s + work[first])
    outcome.busy_s, outcome.end_s = sum(work), max(outcome.finish_s)
    return outcome
