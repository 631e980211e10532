"""A host that never had, or lost, its git store goes on from what was kept with the task."""

from __future__ import annotations

import shutil

import pytest

from tests.homes import CliHome

ASK = ("ask", "set server.timeout to 30 in config/app.yaml", "--as", "ana", "--wait")


@pytest.fixture
def staged(home: CliHome) -> str:
    """The digest of a staged change whose objects are in no git store any more."""
    digest = str(home.document(*ASK)["staged"]["digest"])
    shutil.rmtree(home.root / "state" / "git")
    return digest


def test_another_host_publishes_what_this_one_staged(home: CliHome, staged: str):
    task = home.document("approve", "1", staged, "--as", "lee", "--wait")
    assert task["state"] == "published"
    assert home.call("verify", "1").code == 0


def test_another_host_continues_what_this_one_staged(home: CliHome, staged: str):
    task = home.document("reply", "1", "set server.host to b in config/app.yaml", "--as", "ana", "--wait")
    assert (task["state"], task["revision"]) == ("staged", 2)
    assert task["staged"]["files"][0]["added"] == 2, "both revisions' lines"
    assert task["staged"]["digest"] != staged
