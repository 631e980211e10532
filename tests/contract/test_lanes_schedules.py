"""Recurring requests at the command line: checked when made, named by the beginning of an id (lanes.md 8, 10)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from bot.configuration.home import Home
from bot.schedule.clock import ScheduleClock, asker
from bot.wiring.app import opened
from tests.contract.test_cli_lane import add
from tests.homes import CliHome

pytestmark = pytest.mark.lanes

BUMP = """\
name: bump
describe: bump a package
write: ["requirements.txt"]
executor: workflow
parameters:
  package: {pattern: "[a-z]+"}
  version: {type: version}
steps:
  - {name: bump, run: edit, do: "bump {package} to {version} in requirements.txt"}
"""
PLAIN = "set server.timeout to 30 in config/app.yaml"


def every(home: CliHome, *words: str, text: str = PLAIN, code: int = 0, person: str = "ana") -> dict[str, Any]:
    return home.document("every", "daily 09:00", text, "--repo", "web", "--as", person, *words, code=code)


@pytest.mark.parametrize(
    ("text", "words", "code", "part"),
    [
        ("frobnicate the gizmo", (), 2, "cannot"),
        ("set a to 1 in .env", (), 3, ".env may not be changed in any lane (by **/.env)"),
        ("set a.b to 1 in .github/x.yml", (), 3, "may not be changed in any lane"),
        ("replace a with b in src/a.py", ("--lane", "docs"), 3, "docs does not cover src/a.py"),
        ("bump it", ("--lane", "bump"), 2, "needs the parameter package"),
        ("bump it", ("--lane", "bump", "--set", "package=httpx"), 2, "needs the parameter version"),
        ("bump it", ("--lane", "bump", "--set", "package=UP", "--set", "version=1"), 2, "does not match"),
        ("bump it", ("--lane", "bump", "--set", "nosuch=1"), 2, "has no parameter 'nosuch'"),
        (PLAIN, ("--set", "a=1"), 2, "which lane's parameter a is"),
        (PLAIN, ("--lane", "nosuch"), 2, "no lane called"),
    ],
)
def test_lanes_10_what_could_never_succeed_is_refused_when_it_is_made(home: CliHome, text, words, code, part):
    add(home, "bump", BUMP)
    said = every(home, *words, text=text, code=code)
    if part != "cannot":
        assert part in said["error"]["message"]
    assert said["error"]["mend"]
    assert json.loads(home.call("schedules", "--json").out) == []


def test_lanes_10_a_lane_that_the_person_may_not_use_is_refused(home: CliHome):
    policy = home.root / "policy.yaml"
    add(home, "bump", BUMP)
    policy.write_text(policy.read_text().replace("[member, maintainer]", "[maintainer]", 1))
    lane = ("--lane", "bump", "--set", "package=httpx", "--set", "version=1.0")
    assert every(home, *lane, text="bump it", code=3)["error"]["code"] == "refused_by_policy"
    assert every(home, *lane, text="bump it", person="lee")["parameters"] == {"package": "httpx", "version": "1.0"}


def test_lanes_10_its_parameters_are_set_when_it_is_asked_for(home: CliHome):
    add(home, "bump", BUMP)
    home.commit({"requirements.txt": "httpx==0.27.0\n"})
    made = every(home, "--lane", "bump", "--set", "package=httpx", "--set", "version=0.28.1", text="bump it")
    assert made["parameters"] == {"package": "httpx", "version": "0.28.1"}
    assert "package=httpx version=0.28.1" in home.call("schedules").out

    async def sweep() -> None:
        from core.store import schedules

        async with opened(Home(home.root)) as app:
            (found,) = await app.database.read(schedules.listed)

            async def due(tx):
                await schedules.set_state(tx, found.id, "active", tx.now_ms - 1000)

            await app.database.write(due)
            await ScheduleClock(app.schedules, asker(app.requests, lambda _place: ())).sweep()

    asyncio.run(sweep())
    assert home.call("worker", "--drain").code == 0
    task = home.document("show", 1)
    assert (task["state"], task["parameters"]) == ("staged", made["parameters"])


def test_lanes_08_the_beginning_of_an_id_is_enough_and_two_candidates_are_named(home: CliHome):
    ids = [every(home)["id"] for _ in range(3)]
    shared = next(n for n in range(4, 40) if len({one[: n + 1] for one in ids}) > 1)
    ambiguous = home.document("unschedule", ids[0][:shared], "--pause", code=2)["error"]
    assert ambiguous["code"] == "ambiguous"
    assert any(one in ambiguous["message"] for one in ids)
    short = next(ids[0][:n] for n in range(5, 40) if sum(one.startswith(ids[0][:n]) for one in ids) == 1)
    assert home.document("unschedule", short, "--pause")["id"] == ids[0]
    assert home.document("unschedule", short.removeprefix("sch_").upper(), "--resume")["state"] == "active"
    assert home.document("unschedule", short)["state"] == "deleted"
    assert home.document("unschedule", short, code=6 if not any(i.startswith(short) for i in ids[1:]) else 0)
    for nothing in ("sch_", "sch_zzz", "%", "sch_%"):
        assert home.document("unschedule", nothing, code=6)["error"]["code"] == "no_such_schedule"
    assert len(json.loads(home.call("schedules", "--json").out)) == 2
