"""Which files and lines of a real git diff the viewer shows: every changed path, whatever became of it."""

from __future__ import annotations

import pytest

from bot.web.diff.files import DiffDivider
from bot.web.diff.view import DiffFrame, view_part
from core.model.change import Change
from core.services.staged_diffs import StagedContent
from lanes.repository import GitRepository
from tests.homes import git, make_repository

pytestmark = [pytest.mark.window]


@pytest.fixture
def repository(tmp_path):
    from core.ports.repository import RepositorySpec

    bare = tmp_path / "origin.git"
    make_repository(bare, {"a.txt": "one\ntwo\n", "was.py": "x = 1\n" * 30, "gone.txt": "bye\n", "link": "text\n"})
    spec = RepositorySpec("web", "repo-1", str(bare), "main", "local")
    return GitRepository(spec, tmp_path / "store"), bare


async def test_every_path_of_a_change_is_shown_whatever_became_of_it(repository, tmp_path):
    store, bare = repository
    base = await store.fetch_base()
    work = tmp_path / "work"
    git(tmp_path, "clone", "-q", str(bare), str(work))
    git(work, "mv", "was.py", "now.py")
    (work / "now.py").write_text("x = 1\n" * 29 + "x = 2\n")
    git(work, "rm", "-q", "gone.txt")
    (work / "link").unlink()
    (work / "link").symlink_to("a.txt")
    (work / "a.txt").write_bytes(b"one\r\ntwo")
    (work / "new\u202e name.txt").write_text("n\n")
    (work / "some.bin").write_bytes(b"\x00\x01" * 9)
    (work / "empty").write_text("")
    git(work, "update-index", "--add", "--cacheinfo", f"160000,{base},module")
    git(work, "add", "-A", "--", "now.py", "link", "a.txt", "some.bin", "empty", "new\u202e name.txt")
    tree = git(work, "write-tree")
    commit = git(work, "commit-tree", tree, "-p", base, "-m", "x")
    git(work, "push", "-q", str(store.store.path), f"{commit}:refs/heads/other")
    change: Change = await store.change(base, tree)
    content = StagedContent(change, await store.diff_text(base, tree), store)
    divided = await DiffDivider().divide("d" * 64, content, ["some.bin"])
    (part,) = divided.parts
    views = {
        view.file.path: view for view in await view_part(content, part, {}, DiffFrame("unified", lambda _f, _g: ""))
    }
    shown = {view.file.new.path for view in views.values()} | {view.file.old.path for view in views.values()}
    assert shown == {file.path for file in change.files}
    assert next(iter(views)) == "some.bin"
    assert views["some.bin"].file.is_binary
    assert views["now.py"].notes == ("renamed from was.py",)
    assert views["now.py"].html.count("<tr class=add>") == 1
    assert views["gone.txt"].notes == ("deleted",)
    assert "file becomes symlink" in views["link"].notes
    assert views["link"].html.count("<tr class=del>") == views["link"].html.count("<tr class=add>") == 1
    assert f"submodule, commit {base}" in views["module"].notes
    assert "<b class=odd>\\x0d</b>" in views["a.txt"].html
    assert "no newline at the end" in views["a.txt"].html
    assert "new\\u{202e} name.txt" in views
    assert views["empty"].html == ""
