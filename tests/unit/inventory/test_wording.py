"""The lines about endpoints and nodes, and the doctor's rows about endpoints that get no work."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.cards.inventory import endpoint_heading, endpoint_lines, gib, node_lines
from bot.operations.doctor_inventory import work_rows
from core.model.endpoint_snapshot import EndpointSnapshot, ResidentModel
from core.model.inventory import Gpu, GpuProcess, HostHardware, ModelFamily, Ram, Residency, ServerState
from core.services.inventory import EndpointStatus, NodeStatus
from core.store.inventory import Drain
from core.store.workers import WorkerView

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
GIB = 1024**3


def lines(snapshot: EndpointSnapshot, drain: Drain | None = None) -> list[str]:
    return endpoint_lines(EndpointStatus(snapshot, drain).to_json(NOW), NOW)


def up(**changes: Any) -> EndpointSnapshot:
    return replace(EndpointSnapshot("local", "ollama", ServerState.UP, seen_at=NOW, checked_at=NOW), **changes)


@pytest.mark.parametrize(
    ("count", "text"), [(None, "? GiB"), (0, "0.0 GiB"), (int(6.2 * GIB), "6.2 GiB"), (141 * GIB, "141 GiB")]
)
def test_memory_is_said_in_gib(count, text):
    assert gib(count) == text


def test_a_server_that_is_down_says_why_and_when_it_answered_last():
    down = up(
        state=ServerState.DOWN, problem="the endpoint local: nothing is listening", seen_at=NOW - timedelta(hours=2)
    )
    assert lines(down) == [
        "The endpoint local: nothing is listening.",
        "(looked at just now, last answered 2 h ago)",
    ]


def test_a_model_name_at_the_beginning_of_a_problem_keeps_its_case():
    assert lines(up(state=ServerState.WEDGED, problem="qwen3 is listed as loaded"))[0] == "qwen3 is listed as loaded."


def test_text_of_a_server_cannot_break_the_lines():
    hostile = ResidentModel("a\nGPU 0: 99 of 99 GiB free\x1b[31m", ModelFamily("name:a"))
    (line,) = [line for line in lines(up(residents=(hostile,))) if "99 of 99" in line]
    assert "\n" not in line
    assert "\x1b" not in line
    row = EndpointStatus(up(server="x\ny")).to_json(NOW)
    assert endpoint_heading(row) == "local: up · x y"


def test_what_a_model_does_is_said():
    family = ModelFamily("name:a")
    residents = (
        ResidentModel("a", family, vram_bytes=GIB, ram_bytes=2 * GIB, is_busy=True),
        ResidentModel("b", family, Residency.ASLEEP),
        ResidentModel("c", family, Residency.LOADING),
    )
    assert lines(up(residents=residents))[:3] == [
        "a: 1.0 GiB, 2.0 GiB in RAM, awake, busy",
        "b: asleep",
        "c: is loading",
    ]


def test_many_models_are_counted_rather_than_listed():
    residents = tuple(ResidentModel(f"m{n}", ModelFamily("name:a")) for n in range(20))
    assert "and 8 more" in lines(up(residents=residents))


def test_a_node_shows_its_gpus_and_what_takes_their_memory():
    gpu = Gpu("GPU-1", "RTX 4090", 24 * GIB, 9 * GIB, processes=(GpuProcess(7, "train", 10 * GIB), GpuProcess(8)))
    worker = WorkerView("w1", "gpu-1", "alpha", 1, "alive", NOW)
    hardware = HostHardware((gpu,), Ram(64 * GIB, 8 * GIB), "GPU 1 cannot be read: lost")
    node = NodeStatus("gpu-1", ("sandbox:bwrap",), (worker,), hardware, NOW)
    assert node_lines(node.to_json(), NOW) == [
        "1 worker, heard of just now",
        "Offers: sandbox:bwrap",
        "GPU 1 cannot be read: lost.",
        "GPU 0 RTX 4090: 9.0 of 24.0 GiB free",
        "train (pid 7) has 10.0 GiB",
        "(measured just now)",
    ]
    assert node_lines(NodeStatus("old", (), (), None, None).to_json(), NOW) == [
        "No worker runs.",
        "Offers: nothing special",
    ]


def test_doctor_fails_for_a_hanging_endpoint_and_warns_of_a_drained_one():
    assert work_rows(EndpointStatus(up())) == []
    (wedged,) = work_rows(EndpointStatus(up(state=ServerState.WEDGED, problem="qwen3 hangs")))
    assert (wedged["name"], wedged["verdict"], wedged["detail"]) == ("work at local", "fail", "qwen3 hangs")
    assert "Restart the server" in wedged["mend"]
    (drained,) = work_rows(EndpointStatus(up(), Drain("new disk", "lee", NOW)))
    assert (drained["verdict"], drained["detail"]) == ("warn", "drained by lee: new disk")
