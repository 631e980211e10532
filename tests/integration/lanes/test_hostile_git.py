"""Every executing configuration key, with every verb the host uses, in every place an attacker writes: 0 executions.

Why four walks are the whole product of keys, verbs and places. A walk goes through every method of the repository
and the local forge, and so through every verb: a git in front of the real one writes down which, and they are compared
with the list in the source. All keys are set at once, each to a program of its own that leaves a mark with the key's
name, and in all places at once, each place with marks of its own. A trap could hide another only by being in force
itself, and then leaves its own mark: of one key in many places git takes the value of one, and a filter that ends git
has run. Where nothing has left a mark, nothing was hidden by what ran. That no value stops a verb before it gets to
the others is seen by every method of the walk doing its work. Keys
that exclude each other by what they mean (where an address is sent to, by which program a commit is signed) are in
different suits, one a walk. `test_hostile_traps` has plain git run the traps of the very same suits, each beside all
the others, and from each place alone.

What is not the host's side: a push to a repository on this host runs git in that repository, which asks its own
configuration and its own hooks, as that of a server does. That is what the last of the walk looks at.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.model.errors import CountersignError
from core.ports.forge import PullRequestDraft
from core.ports.repository import Commit, RepositorySpec
from lanes.forge.local import LocalForge
from lanes.repository import GitRepository, TreeView, merging
from lanes.repository.bare import Bare
from lanes.repository.clone import make_bare
from lanes.repository.command import VERBS
from lanes.repository.running import GitError
from tests.integration.lanes import origin
from tests.integration.lanes.traps import (
    ATTRIBUTES,
    ON_RECEIVE,
    SUITS,
    Traps,
    as_count,
    as_file,
    as_parameters,
    put_in_front,
)

pytestmark = pytest.mark.lanes
AT = datetime(2026, 5, 4, 12, tzinfo=UTC)
BRANCH = "countersign/1-change"
IN_THE_REMOTE = ("local", "worktree", "included", "included-if", "remote-home")
VARIABLES = (
    "EXTERNAL_DIFF", "SSH", "SSH_COMMAND", "ASKPASS", "EDITOR", "PAGER", "PROXY_COMMAND", "SEQUENCE_EDITOR",
)  # fmt: skip


@pytest.fixture
def traps(tmp_path):
    return Traps(tmp_path / "hostile")


@pytest.fixture
def verbs(tmp_path, monkeypatch):
    """A git that writes down what is asked of it, in front of the real one; gives what reads it."""
    seen = tmp_path / "verbs"
    seen.touch()
    put_in_front(
        tmp_path,
        monkeypatch,
        f'for word; do [ "$last" = -c ] || [ "$word" = -c ] || break; last=$word; done\necho "$word" >> {seen}\n',
    )
    return lambda: set(seen.read_text().split())


def surround(traps, tmp_path, monkeypatch, suit):
    """Everything git could ask of its surroundings, hostile."""
    home = tmp_path / "home"
    files = {
        "home": home / ".gitconfig",
        "xdg": home / ".config" / "git" / "config",
        "global": tmp_path / "global",
        "system": tmp_path / "system",
    }
    for place, path in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(as_file(traps.pairs(place, suit=suit)))
    (home / ".config" / "git" / "attributes").write_text(ATTRIBUTES)
    variables = {
        "HOME": home,
        "XDG_CONFIG_HOME": home / ".config",
        "GIT_CONFIG_GLOBAL": files["global"],
        "GIT_CONFIG_SYSTEM": files["system"],
        "GIT_CONFIG_PARAMETERS": as_parameters(traps.pairs("parameters", suit=suit, suspects=False)),
        "GIT_TEMPLATE_DIR": traps.hooks(tmp_path / "template" / "hooks", "template").parent,
        "GIT_EXEC_PATH": tmp_path / "exec",
        "GIT_TRACE2_EVENT": traps.marks / "env~trace2",
        **{f"GIT_{name}": traps.trap(f"env~{name}") for name in VARIABLES},
        **{name: traps.trap(f"env~{name}") for name in ("EDITOR", "VISUAL", "PAGER", "SSH_ASKPASS", "BROWSER")},
        **as_count(traps.pairs("count", suit=suit, suspects=False)),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, str(value))


def poison(traps, bare, suit):
    """Everything that can be written into a remote repository, hostile; the hooks of its own side are not in it."""
    for place in ("included", "included-if"):
        (traps.root / place).write_text(as_file(traps.pairs(place, suit=suit)))
    (bare / "config.worktree").write_text(as_file(traps.pairs("worktree", suit=suit)))
    (bare / ".gitconfig").write_text(as_file(traps.pairs("remote-home", suit=suit)))
    include = f'[include]\n\tpath = {traps.root}/included\n[includeIf "gitdir:/"]\n\tpath = {traps.root}/included-if\n'
    with (bare / "config").open("a") as config:
        config.write(include + as_file(traps.pairs("local", suit=suit)))
    (bare / "info").mkdir(exist_ok=True)
    (bare / "info" / "attributes").write_text(ATTRIBUTES)
    traps.hooks(bare / "hooks", "remote")


async def make(repo: GitRepository, folder: Path) -> str:
    """A commit whose change has its own attributes and submodules, made through every way that changes are made."""
    base = await repo.fetch_base()
    start = await repo.tree_of(base)
    folder.mkdir()
    await repo.export(start, folder)
    (folder / ".gitattributes").write_text(ATTRIBUTES)
    (folder / ".gitmodules").write_text('[submodule "sub"]\n\tpath = sub\n\turl = ext::sh -c true\n')
    (folder / "src" / "a.py").write_text("print(4)\n")
    tree = await repo.import_tree(folder, start)
    tree = await repo.write_tree(tree, {"config/app.yaml": b"x: 1\n"}, ["README.md"], {"run.sh": "100755"})
    return await repo.write_commit(Commit(tree, base, "change", AT))


async def everything(repo: GitRepository, commit: str, root: Path) -> None:
    """Every method there is, on such a change that was pushed already."""
    base, tree = await repo.fetch_base(), await repo.tree_of(commit)
    for file in (await repo.change(base, tree)).files:
        if file.new_blob:
            await repo.read_blob(file.new_blob)
    await repo.diff_text(base, tree)
    await repo.unpack(await repo.pack(base, tree))
    assert await repo.has(tree)
    await repo.keep("1/1", commit)
    assert await repo.kept("1")
    await repo.revert(commit, commit)
    merging.rebase(repo.store, base, commit)
    with TreeView(repo.store, tree) as view:
        assert view.read("src/a.py")
    layer = root / "layer"
    layer.mkdir()
    (layer / "new.py").write_text("1\n")
    await repo.take_layer(layer, tree)
    for leased in (tree, await repo.tree_of(base)):
        with ExitStack() as stack:
            assert await repo.lease(stack, leased, root / "pristine", None)
    assert await repo.default_branch() == "main"
    assert await repo.remote_refs()
    make_bare(RepositorySpec("made", "made", str(root / "made.git"), "main", "local"), {"a.py": b"1"}, "start")
    forge = LocalForge()
    opened = await forge.open(repo, PullRequestDraft(1, BRANCH, commit, "main", "t", "b", 1, "d" * 64))
    assert (await forge.poll(repo, opened)).state == "open"
    await forge.merge(repo, opened, "merge")
    assert (await forge.poll(repo, opened)).state == "merged"
    bare = Bare(repo.spec.url)
    bare.reaches(base, commit)
    bare.write(b"x")


@pytest.mark.parametrize("suit", SUITS)
async def test_no_key_in_no_place_runs_anything_with_any_verb(suit, repo, bare, traps, verbs, tmp_path, monkeypatch):
    before = origin.store(bare, tmp_path / "before")
    await LocalForge().push(before, BRANCH, await make(before, tmp_path / "once"), None)
    poison(traps, bare, suit)
    surround(traps, tmp_path, monkeypatch, suit)
    commit = await make(repo, tmp_path / "again")
    await everything(repo, commit, tmp_path)
    assert traps.fired() == set()
    assert verbs() | {"push"} == VERBS
    assert await repo.push("refs/heads/another", commit, None)
    assert verbs() == VERBS
    own = {name.split("~")[1] for name in traps.fired()}
    assert own
    assert own <= {"core.alternateRefsCommand", *(f"hook-{name}" for name in ON_RECEIVE)}
    assert {name.split("~")[0] for name in traps.fired()} <= {"remote", *IN_THE_REMOTE}


async def test_a_remotes_own_hooks_answer_a_push_and_only_a_push(repo, bare, traps):
    traps.hooks(bare / "hooks", "remote", ("pre-receive", "update"))
    base = await repo.fetch_base()
    tree = await repo.write_tree(await repo.tree_of(base), {"x": b"1"}, [], {})
    commit = await repo.write_commit(Commit(tree, base, "change", AT))
    assert traps.fired() == set()
    await LocalForge().push(repo, BRANCH, commit, None)
    assert traps.fired() == {"remote~hook-pre-receive", "remote~hook-update"}


async def test_an_ext_address_from_the_configuration_runs_nothing(traps, tmp_path):
    with pytest.raises(CountersignError):
        await origin.store(f"ext::{traps.trap('ext')} ", tmp_path).fetch_base()
    assert traps.fired() == set()


async def test_what_a_remote_only_promises_is_not_fetched_from_where_it_says(bare, traps, tmp_path):
    """The remote lacks an object and says that another git has it, reached by a program of its choice."""
    tree = origin.plant(bare, {b"a": ("100644", b"promised")})
    origin.git("update-ref", "refs/heads/main", origin.commit(bare, tree), at=bare)
    blob = origin.line("rev-parse", "main:a", at=bare)
    shutil.copytree(bare, tmp_path / "other.git")
    (bare / "objects" / blob[:2] / blob[2:]).unlink()
    pairs = [
        ("extensions.partialClone", "origin"), ("remote.origin.promisor", "true"),
        ("remote.origin.url", str(tmp_path / "other.git")), ("remote.origin.uploadpack", traps.trap("promisor")),
    ]  # fmt: skip
    with (bare / "config").open("a") as config:
        config.write(as_file(pairs))
    repo = origin.store(bare, tmp_path / "state")
    with pytest.raises(CountersignError):
        await repo.fetch_base()
    with pytest.raises(GitError):
        Bare(str(bare)).read(blob)
    assert traps.fired() == set()
    with pytest.raises(AssertionError):
        origin.git("cat-file", "-p", blob, at=bare)  # plain git does what it is told
    assert traps.fired() == {"promisor"}
