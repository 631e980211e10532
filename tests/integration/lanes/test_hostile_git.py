"""Everything in git's configuration that runs a program, in every place an attacker can write: nothing runs."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.errors import CountersignError
from core.ports import Commit, Proposal
from lanes.forge.local import LocalForge
from lanes.repository import GitRepository
from tests.integration.lanes import origin

pytestmark = pytest.mark.lanes
AT = datetime(2026, 5, 4, 12, tzinfo=UTC)
BRANCH = "countersign/1-change"

HOOKS = (
    "applypatch-msg", "pre-applypatch", "post-applypatch", "pre-commit", "pre-merge-commit", "prepare-commit-msg",
    "commit-msg", "post-commit", "pre-rebase", "post-checkout", "post-merge", "pre-push", "post-rewrite", "pre-auto-gc",
    "reference-transaction", "fsmonitor-watchman", "post-index-change", "sendemail-validate",
)  # fmt: skip
ON_RECEIVE = ("pre-receive", "update", "proc-receive", "post-receive", "post-update", "push-to-checkout")

ATTRIBUTES = "* filter=evil diff=evil merge=evil ident text eol=crlf working-tree-encoding=UTF-16 export-subst\n"


def traps(marks: Path, hooks: Path | None) -> str:
    """A git configuration in which every executing key leaves a mark with its name."""

    def trap(name: str) -> str:
        script = marks.parent / "traps" / name  # a file: some keys name a program, others a line for the shell
        script.parent.mkdir(exist_ok=True)
        script.write_text(f"#!/bin/sh\ntouch {marks}/{name}\nexit 1\n")
        script.chmod(0o755)
        return str(script)

    paths = f"\thooksPath = {hooks}\n" if hooks else ""
    return f"""
[core]
{paths}\tfsmonitor = "{trap("fsmonitor")}"
\tsshCommand = "{trap("sshCommand")}"
\tgitProxy = "{trap("gitProxy")}"
\taskPass = "{trap("askPass")}"
\tpager = "{trap("pager")}"
\teditor = "{trap("editor")}"
\talternateRefsCommand = "{trap("alternateRefs")}"
\tattributesFile = {marks}/../attributes
[sequence]
\teditor = "{trap("sequence")}"
[diff]
\texternal = "{trap("diff-external")}"
[diff "evil"]
\tcommand = "{trap("diff-command")}"
\ttextconv = "{trap("textconv")}"
[filter "evil"]
\tclean = "{trap("clean")}"
\tsmudge = "{trap("smudge")}"
\tprocess = "{trap("process")}"
\trequired = false
[merge "evil"]
\tdriver = "{trap("merge-driver")}"
[gpg]
\tprogram = "{trap("gpg")}"
[commit]
\tgpgSign = true
[push]
\tgpgSign = if-asked
[credential]
\thelper = "!{trap("credential")}"
[uploadpack]
\tpackObjectsHook = "{trap("packObjectsHook")}"
[alias]
\tfetch = "!{trap("alias")}"
\tadd = "!{trap("alias")}"
[protocol]
\tallow = always
[protocol "ext"]
\tallow = always
[url "ext::sh -c touch% {marks}/insteadOf% "]
\tinsteadOf = /
\tpushInsteadOf = /
[remote "origin"]
\turl = "ext::sh -c touch% {marks}/promisor"
\tpromisor = true
\tpartialclonefilter = blob:none
\tuploadpack = "{trap("uploadpack")}"
\treceivepack = "{trap("receivepack")}"
[gc]
\tauto = 1
[interactive]
\tdiffFilter = "{trap("diffFilter")}"
[pager]
\tdiff = "{trap("pager-diff")}"
[extensions]
\tpartialClone = origin
[submodule "sub"]
\turl = "ext::sh -c touch% {marks}/submodule"
\tupdate = "!{trap("submodule-update")}"
\tactive = true
[trace2]
\teventTarget = {marks}/trace2
"""


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    folder = tmp_path / "marks"
    folder.mkdir()
    (tmp_path / "attributes").write_text(ATTRIBUTES)
    return folder


def plant_hooks(folder: Path, marks: Path, names=HOOKS + ON_RECEIVE) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        hook = folder / name
        hook.write_text(f"#!/bin/sh\ncat >/dev/null\ntouch {marks}/hook-{name}\n")
        hook.chmod(0o755)
    return folder


def fired(marks: Path) -> list[str]:
    return origin.names_in(marks)


async def make(web: GitRepository, folder: Path) -> str:
    """A commit whose change has its own attributes and submodules, made through every way that changes are made."""
    base = await web.fetch_base()
    start = await web.tree_of(base)
    folder.mkdir()
    await web.export(start, folder)
    (folder / ".gitattributes").write_text(ATTRIBUTES)
    (folder / ".gitmodules").write_text('[submodule "sub"]\n\tpath = sub\n\turl = ext::sh -c true\n')
    (folder / "src" / "a.py").write_text("print(4)\n")
    tree = await web.import_tree(folder, start)
    tree = await web.write_tree(tree, {"config/app.yaml": b"x: 1\n"}, ["README.md"], {"run.sh": "100755"})
    return await web.write_commit(Commit(tree, base, "change", AT))


async def everything(web, folder: Path) -> None:
    """Every method there is, on such a change."""
    commit = await make(web, folder)
    base, tree = await web.fetch_base(), await web.tree_of(commit)
    for file in (await web.change(base, tree)).files:
        if file.new_blob:
            await web.read_blob(file.new_blob)
    await web.diff_text(base, tree)
    await web.unpack(await web.pack(base, tree))
    assert await web.has(tree)
    await web.keep("1/1", commit)
    await web.revert(commit, commit)
    forge = LocalForge()
    await forge.push(web, BRANCH, commit, None)
    opened = await forge.open(web, Proposal(1, BRANCH, commit, "main", "t", "b", 1, "d" * 64))
    assert (await forge.look(web, opened)).state == "open"
    await forge.merge(web, opened, "merge")
    assert (await forge.look(web, opened)).state == "merged"


async def test_a_hostile_remote_runs_nothing(web, bare, marks, tmp_path):
    """Its configuration, its attributes and all its hooks; the branch is there already, so nothing is pushed."""
    prepared = origin.store(bare, tmp_path / "before")
    await LocalForge().push(prepared, BRANCH, await make(prepared, tmp_path / "once"), None)
    hooks = plant_hooks(tmp_path / "hooks", marks)
    plant_hooks(bare / "hooks", marks)
    (bare / "info").mkdir(exist_ok=True)
    (bare / "info" / "attributes").write_text(ATTRIBUTES)
    with (bare / "config").open("a") as config:
        config.write(traps(marks, hooks))
    await everything(web, tmp_path / "again")
    assert fired(marks) == []


async def test_a_hostile_remotes_configuration_runs_at_most_its_own_side_of_a_push(web, bare, marks, tmp_path):
    """receive-pack is the remote's own program, and asks its own configuration what its alternates have."""
    for hook in (bare / "hooks").glob("*"):
        hook.unlink()
    with (bare / "config").open("a") as config:
        config.write(traps(marks, None))
    await everything(web, tmp_path / "once")
    assert set(fired(marks)) <= {"alternateRefs"}


async def test_a_remotes_own_hooks_answer_a_push_and_only_a_push(web, bare, marks, tmp_path):
    plant_hooks(bare / "hooks", marks, ON_RECEIVE[:2])
    base = await web.fetch_base()
    forge = LocalForge()
    tree = await web.write_tree(await web.tree_of(base), {"x": b"1"}, [], {})
    commit = await web.write_commit(Commit(tree, base, "change", AT))
    assert fired(marks) == []
    await forge.push(web, BRANCH, commit, None)
    assert fired(marks) == ["hook-pre-receive", "hook-update"]


async def test_a_hostile_home_and_environment_run_nothing(web, marks, tmp_path, monkeypatch):
    home = tmp_path / "home"
    (home / ".config" / "git").mkdir(parents=True)
    hooks = plant_hooks(tmp_path / "hooks", marks)
    (home / ".gitconfig").write_text(traps(marks, hooks))
    (home / ".config" / "git" / "config").write_text(traps(marks, hooks))
    (home / ".config" / "git" / "attributes").write_text(ATTRIBUTES)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", str(home / ".gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", f"touch {marks}/count")
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", f"'core.fsmonitor'='touch {marks}/parameters'")
    for name in (
        "EXTERNAL_DIFF",
        "SSH",
        "SSH_COMMAND",
        "ASKPASS",
        "EDITOR",
        "PAGER",
        "PROXY_COMMAND",
        "SEQUENCE_EDITOR",
    ):
        monkeypatch.setenv(f"GIT_{name}", f"touch {marks}/env-{name}")
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(tmp_path / "template"))
    monkeypatch.setenv("GIT_EXEC_PATH", str(tmp_path / "exec"))
    plant_hooks(tmp_path / "template", marks)
    await everything(web, tmp_path / "once")
    assert fired(marks) == []


async def test_a_git_directory_in_the_files_is_refused_before_git_sees_it(web, marks, tmp_path):
    base = await web.fetch_base()
    start = await web.tree_of(base)
    folder = tmp_path / "files"
    folder.mkdir()
    await web.export(start, folder)
    origin.git("init", "-q", ".", at=folder)
    with (folder / ".git" / "config").open("a") as config:
        config.write(traps(marks, plant_hooks(tmp_path / "hooks", marks)))
    with pytest.raises(CountersignError):
        await web.import_tree(folder, start)
    assert fired(marks) == []


def test_the_traps_are_real(marks, tmp_path):
    """The same configuration makes plain git run many of them, so that the silence above means something."""
    work = origin.remote(tmp_path / "naive", {"a": "1\n"}, bare=False)
    with (work / ".git" / "config").open("a") as config:
        text = traps(marks, plant_hooks(tmp_path / "hooks", marks))
        lines = text.splitlines(keepends=True)
        config.write("".join(line for line in lines if "process =" not in line and "partialClone =" not in line))
    (marks.parent / "attributes").write_text("a filter=evil diff=evil\n")
    (work / "a").write_text("2\n")
    for argv in (["status"], ["add", "-A"], ["diff", "--cached"], ["commit", "-qm", "x"], ["push", "/nowhere", "main"]):
        subprocess.run(
            ["git", *argv], cwd=work, env={**os.environ, **origin.WHO}, capture_output=True, check=False, timeout=30
        )
    assert {"fsmonitor", "clean", "diff-command", "insteadOf"} <= set(fired(marks))
    assert any(name.startswith("hook-") for name in fired(marks))


async def test_an_ext_address_from_the_configuration_runs_nothing(marks, tmp_path):
    with pytest.raises(CountersignError):
        await origin.store(f"ext::sh -c touch% {marks}/ext", tmp_path).fetch_base()
    assert fired(marks) == []
