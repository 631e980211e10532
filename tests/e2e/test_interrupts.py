"""Ctrl-C at any parse_time of any command: one line, no traceback, and the work goes on to its right end."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from bot.cli import interruption
from core.model.errors import PermanentError, Problem
from lanes.sandbox import find_bwrap
from tests import campaign
from tests.homes import TRACE, CliHome, clean_environment, copy_home

SEED = int(os.environ.get("COUNTERSIGN_SEED", "20261120"))
MOMENTS = 10 if campaign.WHOLE else 1
"""How often each of the commands is interrupted."""
BEGIN = "import os, sys; from bot.cli import main; os.write(int(sys.argv.pop(1)), b'!'); main()"
"""The console script, which tells when Python itself has started: before, Ctrl-C is Python's affair."""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent to a process group, which only POSIX has")


class Run:
    """A command line in a process group of its own, as a terminal would run it."""

    def __init__(self, home: CliHome, *words: object) -> None:
        told, tell = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-c", BEGIN, str(tell), *home.argv(*words)],
            env={**clean_environment(), "PYTHONSAFEPATH": "1"},
            cwd=home.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(tell,),
            start_new_session=True,
        )
        os.close(tell)
        assert os.read(told, 1) == b"!"
        os.close(told)
        self.began = time.monotonic()

    def interrupt_after(self, seconds: float) -> None:
        """Let it run for so long, unless it ends before; then Ctrl-C."""
        try:
            self.process.wait(max(0.0, seconds - (time.monotonic() - self.began)))
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGINT)

    def ended(self) -> tuple[int, str]:
        """Its exit status and what it said on stderr; fails when a traceback was among it."""
        out, err = (stream.decode("utf-8", "replace") for stream in self.process.communicate(timeout=60))
        assert TRACE not in out + err, err
        assert "Exception ignored" not in err, err
        return self.process.returncode, err


def length_of(home: CliHome, *words: object) -> float:
    """How long a command line takes when no one interrupts it."""
    run = Run(home, *words)
    run.process.communicate(timeout=60)
    return time.monotonic() - run.began


ASK = ("ask", "set server.timeout to 30 in config/app.yaml", "--as", "ana", "--wait")


def _nothing(_home: CliHome) -> None:
    """The home as it is."""


def _asked(home: CliHome) -> None:
    home.document(*ASK[:-1])


def _published(home: CliHome) -> None:
    home.published()


COMMANDS = {
    "ask": (_nothing, ASK),
    "worker": (_asked, ("worker", "--drain")),
    "approve": (lambda home: home.staged(), ("approve", 1, "DIGEST", "--as", "lee", "--wait")),
    "merge": (_published, ("merge", 1, "--as", "lee")),
    "serve": (_asked, ("serve",)),
}
ENDS = {"ask": "staged", "worker": "staged", "approve": "published", "merge": "merged", "serve": "staged"}


@pytest.mark.parametrize("name", COMMANDS)
def test_ctrl_c_at_any_moment_is_one_line_and_the_work_goes_on(template_home, tmp_path, name: str):
    prepare, words = COMMANDS[name]
    template = copy_home(template_home, tmp_path / "template")
    template.quicken()
    prepare(template)
    if name == "approve":
        words = tuple(template.document("show", 1)["staged"]["digest"] if w == "DIGEST" else w for w in words)
    length_s = 1.5 if name == "serve" else length_of(copy_home(template, tmp_path / "measure"), *words)
    chance = random.Random(f"{SEED}/{name}")
    for n in range(MOMENTS):
        home = copy_home(template, tmp_path / str(n))
        run = Run(home, *words)
        moment_s = length_s * (n + chance.random()) / MOMENTS
        run.interrupt_after(moment_s)
        code, err = run.ended()
        where = f"{name} at {moment_s:.3f} of {length_s:.3f} s: {code} {err}"
        assert code in (0, 130, -signal.SIGINT), where
        if code == 130:
            told = [line for line in err.splitlines() if line.startswith("countersign: interrupted; ")]
            assert len(told) == 1, where
            _check_truth(home, name, told[0], where)
        assert home.call("worker", "--drain").code == 0, where
        _check_end(home, name, words, where)


def _check_truth(home: CliHome, name: str, told: str, where: str) -> None:
    """What it said exists is there, and where it said that nothing changed nothing has."""
    tasks = home.call("list", "--json").json()
    if name == "ask" and ("#1 " in told or "nothing was requested" in told):
        assert bool(tasks) == ("#1 " in told), where
    if name in ("approve", "merge") and "#1 is as it was" in told:
        found = home.document("show", 1)
        assert found["state"] == {"approve": "staged", "merge": "published"}[name], where
        assert len(found["approvals"]) == (name == "merge"), where
        assert [job for job in home.document("queue")["jobs"] if job["kind"] in ("publish", "merge")] == [], where
    if "your approval of #1 is kept" in told:
        assert home.document("show", 1)["approvals"], where
    if "the merge of #1 is queued" in told:
        state = home.document("show", 1)["state"]
        assert state == "merged" or [job["kind"] for job in home.document("queue")["jobs"]] == ["merge"], where


def _check_end(home: CliHome, name: str, words: tuple[object, ...], where: str) -> None:
    """The task is where it should be; what the person did not get through is done by doing it again."""
    if name == "ask" and not home.call("list", "--json").json():
        return  # interrupted before the request was taken in
    state = home.document("show", 1)["state"]
    if name in ("approve", "merge") and state != ENDS[name]:
        assert state == {"approve": "staged", "merge": "published"}[name], where
        assert home.call(*words).code == 0, where
        state = home.document("show", 1)["state"]
    assert state == ENDS[name], where
    assert [kind["state"] for kind in home.document("queue")["jobs"]] == [], where
    if ENDS[name] in ("published", "merged"):
        assert home.call("verify", 1).code == 0, where


@pytest.mark.sandbox
def test_ctrl_c_while_it_waits_says_that_the_task_exists_and_goes_on(home: CliHome):
    if isinstance(find_bwrap(), Problem):
        pytest.skip("needs a sandbox: install the Debian package bubblewrap")
    home.scripted("import time; open('src/x.py','w').write('1'); time.sleep(60)")
    run = Run(home, "ask", "run it", "--lane", "scripted", "--as", "ana", "--wait")
    assert run.process.stderr is not None
    while b"running" not in run.process.stderr.readline():
        pass
    os.killpg(run.process.pid, signal.SIGINT)
    code, err = run.ended()
    assert code == 130
    assert err.splitlines()[-1] == (
        "countersign: interrupted; #1 exists and continues when a worker runs; nothing was lost."
    )
    assert home.document("show", 1)["state"] in ("queued", "running")


async def test_ctrl_c_while_a_change_is_committed_tells_what_became_of_it():
    entered, leave = asyncio.Event(), asyncio.Event()

    async def work() -> int:
        entered.set()
        await leave.wait()
        return 7

    interruption.on_interrupt("nothing was requested")
    doing = asyncio.create_task(interruption.uninterrupted(work(), lambda made: f"#{made} exists"))
    await entered.wait()
    assert interruption.interrupt_report() == "nothing was requested"
    doing.cancel()
    await asyncio.sleep(0)
    assert "countersign list" in interruption.interrupt_report(), "a second Ctrl-C now must not claim either"
    leave.set()
    with pytest.raises(asyncio.CancelledError):
        await doing
    assert interruption.interrupt_report() == "#7 exists"


async def test_ctrl_c_while_a_change_fails_tells_that_nothing_changed():
    leave = asyncio.Event()

    async def work() -> int:
        await leave.wait()
        raise PermanentError("no", "no")

    interruption.on_interrupt("nothing was requested")
    doing = asyncio.create_task(interruption.uninterrupted(work(), lambda made: f"#{made} exists"))
    await asyncio.sleep(0)
    doing.cancel()
    leave.set()
    with pytest.raises(asyncio.CancelledError):
        await doing
    assert interruption.interrupt_report() == "nothing was requested"


def test_ctrl_c_during_init_leaves_a_home_or_none(template_home: CliHome, tmp_path):
    words = ("init", "--repo", f"web={template_home.bare}", "--person", "ana:member")
    (tmp_path / "measure").mkdir()
    length_s = length_of(CliHome(tmp_path / "measure"), *words)
    chance = random.Random(f"{SEED}/init")
    for n in range(MOMENTS):
        home = CliHome(tmp_path / str(n))
        home.folder.mkdir()
        run = Run(home, *words)
        run.interrupt_after(length_s * (n + chance.random()) / MOMENTS)
        code, err = run.ended()
        assert code in (0, 130, -signal.SIGINT), err
        if not (home.root / "countersign.yaml").exists():
            assert code != 0
            assert home.call(*words).code == 0, "what was begun is no obstacle"
        assert home.call("policy", "check").code == 0
        assert home.call("doctor", "--json").json()["healthy"]
