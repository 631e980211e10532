"""Small clusters and requests that the tests of the simulator share."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from core.scheduler.demand import WorkClass
from core.simulator.cluster import Cluster, Model, parse_nodes
from core.simulator.policies import POLICIES
from core.simulator.trace import Request

REAL_POLICIES = tuple(name for name in POLICIES if not name.startswith("zero-swap-"))
SIZES_GB = {"a": 10, "b": 20, "c": 30, "d": 45}
"""Models by name; loading one takes a second for each GB, and waking it a tenth of that."""


def cluster(nodes: str = "48GB", contention: float = 0.0, sizes_gb: dict[str, int] | None = None) -> Cluster:
    """Endpoints with the models of `SIZES_GB`, which work for a second on each token of an answer."""
    models = tuple(
        Model(name, size * 1024, prompt_rate=1e9, output_rate=1.0, load_s=float(size), wake_s=size / 10)
        for name, size in (sizes_gb or SIZES_GB).items()
    )
    return Cluster(models, parse_nodes(nodes), contention)


def request(arrival_s: float, model: str, work_s: int = 10, work_class: WorkClass = WorkClass.BULK) -> Request:
    """A request of so much work."""
    return Request(arrival_s, model, 0, work_s, work_class=work_class)


@st.composite
def request_lists(draw: st.DrawFn, models: Sequence[str] = tuple(SIZES_GB), most: int = 25) -> list[Request]:
    """Requests in the order of arrival, in bursts and apart."""
    gaps = draw(st.lists(st.sampled_from([0, 0, 1, 7, 40, 400]), min_size=1, max_size=most))
    requests, at_s = [], 0
    for gap in gaps:
        at_s += gap
        due = draw(st.none() | st.integers(0, 500))
        requests.append(
            Request(
                float(at_s),
                draw(st.sampled_from(models)),
                0,
                draw(st.integers(1, 60)),
                draw(st.sampled_from(["t1", "t2"])),
                draw(st.sampled_from(list(WorkClass))),
                None if due is None else float(at_s + due),
            )
        )
    first_s = requests[0].arrival_s
    return [each.moved(-first_s) for each in requests]
