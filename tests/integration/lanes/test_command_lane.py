"""The command executor: a lane's own program on a copy of the files, and what it leaves."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from core.model.errors import Kind, PermanentError, Problem, TransientError
from core.model.intent import Intent
from core.model.lane import Limits
from core.ports.executor import WorkOrder
from lanes.executors.command import CommandExecutor
from lanes.executors.workplace import WorkFolders
from lanes.sandbox import OverlaySupport, SandboxResult
from lanes.sandbox.folders import remove_folder
from lanes.wiring import missing_executor_problem
from tests.builders import lane
from tests.integration.lanes.origin import names_in

pytestmark = pytest.mark.lanes
needs_sandbox = pytest.mark.sandbox


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


async def order(repo, *argv: str, limits: Limits | None = None, **others) -> WorkOrder:
    base = await repo.fetch_base()
    made = lane("scripted", executor="command", command=argv, limits=limits or Limits(wall_s=20), **others)
    return WorkOrder(1, 1, made, Intent("run it"), (), base, await repo.tree_of(base))


async def fails(executor, told: WorkOrder, repo) -> Problem:
    with pytest.raises(PermanentError) as caught:
        await executor.produce(told, repo)
    return caught.value.problem


@pytest.fixture
def executor(scratch, found) -> CommandExecutor:
    return CommandExecutor(scratch, lambda _kind: found)


KEPT = {"pristine"}
"""What stays of a piece of work: files that no one wrote to, for the next."""


@needs_sandbox
async def test_what_the_command_leaves_is_the_tree(executor, repo, scratch):
    told = await order(
        repo, "python3", "-c", "open('src/x.txt','w').write('hi'); print('done'); import os; os.remove('README.md')"
    )
    made = await executor.produce(told, repo)
    files = {f.path: f.status for f in (await repo.change(told.base, made.tree)).files}
    assert files == {b"src/x.txt": "A", b"README.md": "D"}
    assert made.artifacts == {"command.log": b"done\n"}
    assert set(names_in(scratch)) <= KEPT


@needs_sandbox
async def test_it_begins_with_the_start_and_not_with_the_base(executor, repo):
    first = await order(repo, "sh", "-c", "echo two >> README.md")
    tree = (await executor.produce(first, repo)).tree
    second = WorkOrder(1, 2, first.lane, first.intent, (), first.base, tree)
    listed = await repo.list_paths((await executor.produce(second, repo)).tree)
    assert await repo.read_blob(listed[b"README.md"][1]) == b"# Web\ntwo\ntwo\n"


@needs_sandbox
async def test_the_lanes_environment_is_seen(executor, repo):
    told = await order(repo, "sh", "-c", 'echo "$KIND" > kind', environment=(("KIND", "a b"),))
    listed = await repo.list_paths((await executor.produce(told, repo)).tree)
    assert await repo.read_blob(listed[b"kind"][1]) == b"a b\n"


@needs_sandbox
async def test_a_failure_tells_the_end_of_the_log_and_leaves_nothing(executor, repo, scratch):
    problem = await fails(executor, await order(repo, "sh", "-c", "echo a; printf 'b\\033[31m\\n'; exit 3"), repo)
    assert (problem.code, problem.kind) == ("command_failed", Kind.FAILED)
    assert "ended with 3: a / b\\x1b[31m" in problem.message
    assert set(names_in(scratch)) <= KEPT
    gone = await fails(executor, await order(repo, "no-such-program"), repo)
    assert "127" in gone.message


@needs_sandbox
async def test_limits_are_told_apart(executor, repo, scratch):
    slow = await fails(executor, await order(repo, "sleep", "30", limits=Limits(wall_s=1)), repo)
    assert slow.code == "timed_out"
    assert set(names_in(scratch)) <= KEPT
    shared = "import mmap; n = 10**7\nm = [mmap.mmap(-1, n) for _ in range(40)]\n"
    eats = shared + "while True: [x.write(bytes(n)) for x in m if not x.seek(0)]"
    greedy = await order(repo, "python3", "-c", eats, limits=Limits(wall_s=20, memory_mib=128))
    assert (await fails(executor, greedy, repo)).code == "memory_limit"


@needs_sandbox
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("mkdir -p sub/.git && echo 'gitdir: /' > sub/.git/x", "nested_git"),
        ("echo gitdir: /tmp > .git", "nested_git"),
        ("mkfifo pipe", "odd_file"),
        ("cp run.sh s && chmod 4755 s", "odd_file"),
        ("truncate -s 900M big; truncate -s 900M big2; true", "too_large"),
    ],
)
async def test_what_may_not_come_in_is_refused(executor, repo, scratch, code, expected):
    problem = await fails(executor, await order(repo, "sh", "-c", code), repo)
    assert (problem.code, problem.kind) == (expected, Kind.BLOCKED)
    assert set(names_in(scratch)) <= KEPT


@needs_sandbox
async def test_a_link_that_leads_out_is_only_a_link(executor, repo):
    told = await order(repo, "sh", "-c", "ln -s /etc/shadow out; ln -s / root")
    listed = await repo.list_paths((await executor.produce(told, repo)).tree)
    assert await repo.read_blob(listed[b"out"][1]) == b"/etc/shadow"
    assert listed[b"root"][0] == "120000"


@needs_sandbox
async def test_folders_without_permissions_are_removed_all_the_same(executor, repo, scratch):
    problem = await fails(
        executor, await order(repo, "sh", "-c", "mkdir -p a/b && touch a/b/c && chmod 0 a/b a; exit 1"), repo
    )
    assert problem.code == "command_failed"
    assert set(names_in(scratch)) <= KEPT


@needs_sandbox
async def test_cancelling_leaves_nothing(executor, repo, scratch):
    task = asyncio.create_task(executor.produce(await order(repo, "sleep", "30"), repo))
    await asyncio.sleep(0.5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert set(names_in(scratch)) <= KEPT


class Scripted:
    """A sandbox that ends as told."""

    kind = "bwrap"
    overlay: OverlaySupport | None = None
    memory_accounting = "nothing is counted"

    def __init__(self, ran: SandboxResult) -> None:
        self.ran = ran

    async def run(self, *_) -> SandboxResult:
        return self.ran


async def test_a_full_disk_is_a_wait_not_a_failure(scratch, repo, monkeypatch):
    from lanes.executors import command

    monkeypatch.setattr(command, "_MIN_FREE_BYTES", 1 << 60)
    executor = CommandExecutor(scratch, lambda _kind: Scripted(SandboxResult(1, b"No space left on device", None, 1.0)))
    with pytest.raises(TransientError) as caught:
        await executor.produce(await order(repo, "x"), repo)
    assert caught.value.problem.code == "disk_full"


async def test_without_a_sandbox_the_lane_says_why(scratch, repo):
    problem = Problem(Kind.UNAVAILABLE, "no_sandbox", "There is none", "Install bubblewrap.")
    executor = CommandExecutor(scratch, lambda _kind: problem)
    told = await order(repo, "true")
    assert executor.unavailable(told.lane) == problem
    assert executor.needs(told.lane) == {"sandbox"}
    with pytest.raises(TransientError):
        await executor.produce(told, repo)
    assert not scratch.exists()


def test_what_a_killed_worker_left_is_swept(tmp_path):
    root = tmp_path / "scratch"
    child = os.fork()
    if child == 0:
        with WorkFolders(root).create() as folder:
            (folder / "left").write_text("x")
            os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    assert len(names_in(root)) == 1
    with WorkFolders(root).create() as mine, WorkFolders(root).create() as other:
        assert names_in(root) == sorted([mine.parent.name, other.parent.name])
    assert names_in(root) == []


def test_removing_never_follows_a_link(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir(mode=0o500)
    (tmp_path / "gone" / "inner").mkdir(parents=True)
    (tmp_path / "gone" / "inner" / "link").symlink_to(kept)
    remove_folder(tmp_path / "gone")
    assert not (tmp_path / "gone").exists()
    assert kept.stat().st_mode & 0o777 == 0o500


def test_an_executor_that_is_not_here_is_told_with_a_mend():
    assert missing_executor_problem("ollama").kind is Kind.UNAVAILABLE
    assert "docs/lanes.md" in missing_executor_problem("edti").mend
