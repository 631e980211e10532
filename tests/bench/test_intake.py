"""The benchmark of taking requests in, small: it measures what it says, and loses nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench import intake

pytestmark = pytest.mark.surfaces


def test_the_bench_sends_over_http_and_every_request_becomes_a_task(tmp_path: Path) -> None:
    out = tmp_path / "intake.json"
    words = ["--requests", "60", "--people", "20", "--seconds", "2", "--out", str(out)]
    assert intake.main(words) in (0, 1)
    figures = json.loads(out.read_text())
    assert (figures["requests"], figures["lost"], figures["refused"]) == (60, 0, 0)
    assert 0 < figures["ack_p50_ms"] <= figures["ack_p99_ms"] <= figures["ack_max_ms"]
    assert all(isinstance(value, int | float | str | list) for value in figures.values())
