"""The share that `make test` takes of a campaign: every case, and every value that cases take turns with."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import campaign

ROOT = Path(__file__).parents[2]
ZOMBIES = "tests/e2e/kill/test_zombies.py"


def collected(**environment: str) -> set[tuple[str, str]]:
    """The cases that a run collects, each with its database."""
    said = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", ZOMBIES],
        env={**os.environ, "COUNTERSIGN_CAMPAIGNS": "", **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return {
        (line.replace(found[0], "", 1), found[0])
        for line in said.splitlines()
        if (found := re.search(r"sqlite|postgresql", line))
    }


def test_a_share_has_every_case_once_and_every_database_and_a_campaign_has_each_with_each():
    share, whole = collected(), collected(COUNTERSIGN_CAMPAIGNS="all")
    cases = {case for case, _ in whole}
    assert len(cases) > 10
    assert whole == {(case, database) for case in cases for database in ("sqlite", "postgresql")}
    assert len(share) == len(cases)
    assert {case for case, _ in share} == cases
    assert {database for _, database in share} <= {"sqlite", "postgresql"}


@pytest.mark.parametrize("ways", [2, 3, 4])
def test_as_many_cases_as_there_are_ways_meet_all_of_them(ways: int):
    turns = [campaign._turn(n, ways) for n in range(20 * ways)]
    rounds = [turns[n : n + ways] for n in range(0, len(turns), ways)]
    assert all(sorted(each) == list(range(ways)) for each in rounds)
    assert len({tuple(each) for each in rounds}) == ways, "nor is it always the same order"
