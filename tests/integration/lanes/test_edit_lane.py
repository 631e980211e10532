"""The edit executor on real trees: what it changes, what it preserves, and its errors."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core.model.edits import CreateFile, DeleteFile, MoveFile, ReplaceText, SetKey
from core.model.errors import Kind, PermanentError
from core.model.intent import Intent
from core.ports.executor import WorkOrder
from core.ports.repository import Commit
from lanes.executors.edit import EditExecutor
from lanes.repository import GitRepository
from tests.builders import lane
from tests.integration.lanes import origin

pytestmark = pytest.mark.lanes


async def order(repo, *edits, start: str | None = None, revert_of: str | None = None) -> WorkOrder:
    base = await repo.fetch_base()
    return WorkOrder(1, 1, lane(), Intent("x", edits, revert_of), (), base, start or await repo.tree_of(base))


async def content(repo: GitRepository, tree: str, path: bytes) -> bytes:
    return await repo.read_blob((await repo.list_paths(tree))[path][1])


async def test_changes_one_value_and_no_other_byte(repo):
    told = await order(repo, SetKey("config/app.yaml", "server.timeout", "30"))
    made = await EditExecutor().produce(told, repo)
    assert (
        await content(repo, made.tree, b"config/app.yaml")
        == b"# keep me\nserver:\n  timeout: 30   # seconds\n  host: a\n"
    )
    change = await repo.change(told.base, made.tree)
    assert [(f.path, f.added, f.removed) for f in change.files] == [(b"config/app.yaml", 1, 1)]


async def test_several_edits_see_each_other(repo):
    told = await order(
        repo,
        MoveFile("run.sh", "bin/run"),
        ReplaceText("bin/run", "sh", "bash"),
        DeleteFile("README.md"),
        CreateFile("n", "x\n"),
    )
    listed = await repo.list_paths((await EditExecutor().produce(told, repo)).tree)
    assert set(listed) == {b"config/app.yaml", b"src/a.py", b"bin/run", b"n"}


async def test_modes_and_odd_neighbours_survive(repo):
    await repo.fetch_base()
    files = {
        b"run.sh": ("100755", b"a\n"),
        b"\xff b/x": ("100644", b"\0"),
        b"l": ("120000", b"run.sh"),
        b"s": ("160000", b"4" * 40),
    }
    start = origin.plant(repo.store.path, files)
    told = await order(repo, ReplaceText("run.sh", "a", "b"), start=start)
    listed = await repo.list_paths((await EditExecutor().produce(told, repo)).tree)
    assert {path: mode for path, (mode, _) in listed.items()} == {path: mode for path, (mode, _) in files.items()}
    moved = await order(repo, MoveFile("run.sh", "go.sh"), start=start)
    assert (await repo.list_paths((await EditExecutor().produce(moved, repo)).tree))[b"go.sh"][0] == "100755"


@pytest.mark.parametrize(
    ("edit", "code", "kind"),
    [
        (SetKey("nope/none.yaml", "x", "1"), "no_such_file", Kind.MISSING),
        (DeleteFile("nope"), "no_such_file", Kind.MISSING),
        (ReplaceText("README.md", "not there", "x"), "not_found", Kind.MISSING),
        (CreateFile("README.md", "x"), "exists", Kind.FAILED),
        (CreateFile("README.md/x", "x"), "exists", Kind.FAILED),
    ],
)
async def test_says_what_cannot_be_done(repo, edit, code, kind):
    with pytest.raises(PermanentError) as caught:
        await EditExecutor().produce(await order(repo, edit), repo)
    assert (caught.value.problem.code, caught.value.problem.kind) == (code, kind)


async def test_a_request_without_edits_is_not_guessed_at(repo):
    with pytest.raises(PermanentError) as caught:
        await EditExecutor().produce(await order(repo), repo)
    assert caught.value.problem.code == "not_understood"


async def test_takes_a_change_back_on_the_branch_only(repo):
    base = await repo.fetch_base()
    start = await repo.tree_of(base)
    tree = await repo.write_tree(start, {"x": b"1"}, [], {})
    commit = await repo.write_commit(Commit(tree, base, "x", datetime(2026, 1, 1, tzinfo=UTC)))
    await repo.push("refs/heads/main", commit, base)
    made = await EditExecutor().produce(await order(repo, revert_of=commit), repo)
    assert made.tree == start
    with pytest.raises(PermanentError):
        await EditExecutor().produce(await order(repo, revert_of=commit, start=start), repo)


async def test_the_same_order_gives_the_same_tree(repo):
    told = await order(repo, CreateFile("new.txt", "x\n"))
    assert await EditExecutor().produce(told, repo) == await EditExecutor().produce(told, repo)
