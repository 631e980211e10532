"""A log of any length keeps its beginning and its end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.lane import Limits
from lanes.sandbox import SandboxLimits
from lanes.sandbox.interface import BoundedLog

pytestmark = pytest.mark.lanes


@given(st.lists(st.binary(max_size=50), max_size=30), st.integers(2, 200))
def test_what_is_kept_is_the_beginning_and_the_end(chunks, limit):
    log = BoundedLog(limit)
    for chunk in chunks:
        log.add(chunk)
    whole, kept = b"".join(chunks), log.content()
    if len(whole) <= limit:
        assert kept == whole
        return
    head, tail = limit // 2, limit - limit // 2
    left_out = len(whole) - limit
    assert kept == whole[:head] + b"\n[... %d bytes left out ...]\n" % left_out + whole[-tail:]


def test_a_lanes_limits_are_a_runs_confines():
    confines = SandboxLimits.from_lane_limits(Limits(wall_s=7, memory_mib=100, processes=9, log_bytes=5000))
    assert (confines.wall_s, confines.memory_mib, confines.processes, confines.log_bytes) == (7, 100, 9, 5000)
