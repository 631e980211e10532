"""The steps of a workflow with its critical path on the page of the work, and its bottleneck among the insights."""

from __future__ import annotations

import asyncio
import re

import pytest

from core.services.insight import Insight
from tests.homes import CliHome
from tests.window import open_window

pytestmark = [pytest.mark.window, pytest.mark.xdist_group("window")]
SLOW = "import time; time.sleep(0.7); open('src/s.txt','w').write('s')"
STEPS = f"""
  - {{name: quick, run: command, command: ["python3", "-c", "open('src/q.txt','w').write('q')"]}}
  - {{name: slow, run: command, command: ["python3", "-c", "{SLOW}"]}}
  - {{name: last, run: command, needs: [quick, slow], command: ["python3", "-c", "open('src/l.txt','w').write('l')"]}}
"""


def with_workflow(home: CliHome) -> None:
    """Add a lane of three steps, of which the slow one and the last decide how long it takes."""
    home.scripted("", name="three")
    lane = home.root / "lanes" / "three.yaml"
    head = lane.read_text().splitlines()
    head = [line for line in head if not line.startswith(("executor:", "command:"))]
    lane.write_text("\n".join([*head, "executor: workflow", "steps:"]) + STEPS)


async def test_the_critical_path_of_a_workflow_is_marked_and_its_bottleneck_is_counted(home: CliHome) -> None:
    with_workflow(home)
    words = ("--lane", "three", "--repo", "web", "--as", "ana", "--wait")
    asked = await asyncio.to_thread(home.document, "ask", "take the three steps", *words)
    assert asked["state"] == "staged", asked["error"]
    async with open_window(home) as window:
        lee = await window.signed_in("lee")
        page = (await lee.get("/tasks/1/work")).text
        rows = re.findall(r"<tr><td>(quick|slow|last)( <b title=\"on the critical path\")?", page)
        assert [(name, bool(mark)) for name, mark in rows] == [("quick", False), ("slow", True), ("last", True)]
        assert "Critical path: slow → last" in page
        counting = Insight(window.served.app.database, window.served.app.settings, recount_ms=0)
        while await counting.count_next():
            pass
        insight = (await lee.get("/insight?days=7")).text
        assert re.search(r"<td>three</td><td>slow <b>◆ bottleneck</b></td><td class=\"num\">1 of 1 run</td>", insight)
        assert "<td>quick</td>" not in insight
