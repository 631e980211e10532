"""Many processes on one home: every request is taken in once, every decision is made once, and one line is printed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tests import campaign
from tests.homes import TRACE, CliHome

MANY, SOME = (20, 5) if campaign.WHOLE else (8, 3)


def _all(home: CliHome, lines: Sequence[tuple[object, ...]]) -> list[tuple[int, str, str]]:
    """Run all of these at the same time; what each came to."""
    processes = [home.start(*words) for words in lines]
    ended = []
    for process in processes:
        out, err = process.communicate(timeout=110)
        assert TRACE.encode() not in out + err, err.decode()
        ended.append((process.returncode, out.decode(), err.decode()))
    return ended


def test_many_requests_at_once_are_as_many_tasks(home: CliHome):
    lines = [
        ("ask", f"set server.timeout to {n + 100} in config/app.yaml", "--as", "ana", "--json") for n in range(MANY)
    ]
    ended = _all(home, lines)
    assert [(code, err) for code, _, err in ended] == [(0, "")] * MANY
    rows = home.call("list", "--json").json()
    assert sorted(row["number"] for row in rows) == list(range(1, MANY + 1))
    assert len({row["title"] for row in rows}) == MANY
    assert [(job["kind"], job["state"]) for job in home.document("queue")["jobs"]] == [("plan", "ready")] * MANY


def test_many_that_wait_share_the_work(home: CliHome):
    lines = [
        ("ask", f"set server.timeout to {n + 100} in config/app.yaml", "--as", "ana", "--wait", "--json")
        for n in range(SOME)
    ]
    ended = _all(home, lines)
    assert [code for code, _, _ in ended] == [0] * SOME, ended
    assert {row["state"] for row in home.call("list", "--json").json()} == {"staged"}
    events = home.call("events", "--json").out.splitlines()
    assert sum('"task.staged"' in line for line in events) == SOME, "each was staged once"


def test_of_many_decisions_at_once_one_counts(home: CliHome):
    digest = home.staged()["staged"]["digest"]
    approvals = [("approve", 1, digest, "--as", person) for person in ("lee", "max") for _ in range(SOME - 1)]
    rejections = [("reject", 1, "--as", person) for person in ("lee", "max")]
    ended = _all(home, [*approvals, *rejections])
    codes = Counter(code for code, _, _ in ended)
    state = home.document("show", 1)["state"]
    assert state in ("approved", "rejected")
    assert set(codes) <= {0, 3, 5}, codes
    assert codes[5] == len(ended) - 1, "the losers are told who decided"
    for code, _, err in ended:
        assert code != 5 or "decided by" in err, err
