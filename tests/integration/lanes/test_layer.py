# ruff: noqa: E501 - programs for the inside, written as densely as they are read
"""Layers: what a program changes on top of files that no one writes to is the same tree as of a copy of them all."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path

import pytest

from core.model.errors import PermanentError
from lanes.executors.workplace import Workplaces
from lanes.sandbox import OverlaySupport, SandboxLimits, SandboxResult, SandboxRun
from tests.integration.lanes import origin

pytestmark = [pytest.mark.lanes, pytest.mark.sandbox]

FILES = {
    "README.md": "# Web\n",
    ".gitignore": "*.log\nbuild/\n",
    "src/a.py": "print(1)\n",
    "src/b.py": "print(2)\n",
    "src/deep/er/c.py": "print(3)\n",
    "docs/.gitignore": "private.md\n",
    "docs/guide.md": "guide\n",
    "run.sh": "#!/bin/sh\n",
}

PROGRAMS = {
    "nothing": "true",
    "a change in place": "echo more >> src/a.py",
    "touched only": "touch src/a.py && cat src/b.py > /dev/null",
    "a new file": "echo new > src/new.py",
    "a new file in new folders": "mkdir -p x/y/z && echo new > x/y/z/n",
    "a deleted file": "rm src/a.py",
    "a deleted folder": "rm -r src",
    "a folder made anew": "rm -r src && mkdir src && echo only > src/only.py",
    "a folder made anew as it was": "cp -r src /tmp/s && rm -r src && cp -r /tmp/s src",
    "a file where a folder was": "rm -r src && echo file > src",
    "a folder where a file was": "rm README.md && mkdir README.md && echo x > README.md/x",
    "a moved file": "mv src/a.py docs/a.py",
    "a moved folder": "mv src lib",
    "a folder moved away and back": "mv src tmp && mv tmp src",
    "an executable": "chmod +x src/a.py",
    "no executable any more": "chmod +x run.sh && chmod -x run.sh",
    "a link": "ln -s a.py src/link",
    "a link where a file was": "ln -sf b.py src/a.py",
    "a link where a folder was": "rm -r docs && ln -s src docs",
    "a link to nowhere": "ln -s /etc/passwd gone",
    "ignored files stay out": "echo x > debug.log && mkdir build && echo x > build/out && echo y > docs/private.md",
    "ignored but in the tree": "echo more >> kept.log && mv kept.log kept2.log && cp kept2.log kept.log",
    "the ignoring file changes": "echo '!*.log' >> .gitignore && echo x > debug.log",
    "the ignoring file goes": "rm docs/.gitignore && echo y > docs/private.md",
    "a folder replaced and ignored": "rm -r docs && mkdir docs && echo y > docs/private.md",
    "many files": "mkdir many && cd many && for n in $(seq 300); do echo $n > $n; done",
    "odd names": "echo x > 'a b' && echo y > ./-x && printf z > \"$(printf 'q\\351')\"",
    "an empty folder": "mkdir -p empty/er",
    "a hard link": "ln src/a.py src/same.py",
    "all gone": "rm -rf ./* .gitignore",
}


@pytest.fixture
def repo(tmp_path: Path):
    return origin.store(origin.remote(tmp_path / "origin.git", FILES), tmp_path / "state")


@pytest.fixture
def places(tmp_path: Path) -> Workplaces:
    return Workplaces(tmp_path / "scratch")


async def start(repo) -> str:
    """The tree to begin with; one of its files is ignored by name, and in it all the same."""
    tree = await repo.tree_of(await repo.fetch_base())
    return str(await repo.write_tree(tree, {"kept.log": b"in the tree though ignored\n"}, [], {}))


class Copying:
    """A sandbox that lays no layers; nothing is run in it."""

    kind = "bwrap"
    overlay: OverlaySupport | None = None
    memory_accounting = "nothing is counted"

    async def run(self, _run: SandboxRun) -> SandboxResult:
        raise NotImplementedError


async def left_by(program: str, repo, places: Workplaces, sandbox, tree: str, *, layered: bool) -> str:
    async with places.open(repo, tree, sandbox if layered else Copying()) as place:
        assert (place.lower is not None) is layered
        run = SandboxRun(("sh", "-c", program), place.directory, SandboxLimits(wall_s=60), lower=place.lower)
        ran = await sandbox.run(run)
        assert ran.exit_code == 0, ran
        return await place.import_result()


def needs_layers(found) -> None:
    if found.overlay is None:
        pytest.skip("overlayfs cannot be mounted here (needs util-linux, and Linux 5.11 without root)")


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
async def test_a_layer_and_a_copy_give_the_same_tree(found, repo, places, program):
    needs_layers(found)
    tree = await start(repo)
    layered = await left_by(program, repo, places, found, tree, layered=True)
    assert layered == await left_by(program, repo, places, found, tree, layered=False)
    assert (layered == tree) is (program in UNCHANGED)


UNCHANGED = {
    PROGRAMS["nothing"],
    PROGRAMS["touched only"],
    PROGRAMS["a folder made anew as it was"],
    PROGRAMS["a folder moved away and back"],
    PROGRAMS["no executable any more"],
    PROGRAMS["ignored files stay out"],
    PROGRAMS["an empty folder"],
}


async def test_what_lies_beneath_is_never_written(found, repo, places, tmp_path):
    needs_layers(found)
    tree = await start(repo)
    await left_by("rm -rf ./* && echo x > README.md", repo, places, found, tree, layered=True)
    kept = next((tmp_path / "scratch" / "pristine").iterdir()) / "files"
    assert {str(p.relative_to(kept)): p.read_text() for p in kept.rglob("*") if p.is_file()} == {
        **FILES,
        "kept.log": "in the tree though ignored\n",
    }
    assert await left_by("true", repo, places, found, tree, layered=True) == tree


async def test_the_kept_files_go_from_tree_to_tree(found, repo, places):
    needs_layers(found)
    first = await start(repo)
    second = await repo.write_tree(first, {"src/a.py": b"second\n", "new/n": b"n\n"}, ["docs/guide.md"], {})
    third = await repo.write_tree(second, {"src/a.py": b"third\n"}, ["new/n", "src/deep/er/c.py"], {})
    for tree in (first, second, third, first):
        assert await left_by("true", repo, places, found, tree, layered=True) == tree
        changed = await left_by("cat src/a.py > copy", repo, places, found, tree, layered=True)
        assert changed == await left_by("cat src/a.py > copy", repo, places, found, tree, layered=False)


async def test_two_trees_at_once_do_not_meet(found, repo, places):
    needs_layers(found)
    first = await start(repo)
    second = await repo.write_tree(first, {"src/a.py": b"second\n"}, [], {})
    async with places.open(repo, first, found) as one, places.open(repo, second, found) as other:
        assert one.lower is not None
        assert other.lower is None, "the kept files are in use for another tree"
        async with places.open(repo, first, found) as third:
            assert third.lower == one.lower
        for place, tree in ((one, first), (other, second)):
            ran = await found.run(SandboxRun(("cat", "src/a.py"), place.directory, lower=place.lower))
            assert ran.log == (b"second\n" if tree == second else b"print(1)\n")


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("mkfifo pipe", "odd_file"),
        ("mkdir sub && cd sub && mkdir .git && echo x > .git/config", "nested_git"),
        ("mkdir .GIT", "nested_git"),
        ("cp /bin/true s && chmod u+s s", "odd_file"),
    ],
)
async def test_what_must_not_come_in_is_refused(found, repo, places, program, code):
    needs_layers(found)
    tree = await start(repo)
    with pytest.raises(PermanentError) as refused:
        await left_by(program, repo, places, found, tree, layered=True)
    assert refused.value.problem.code == code


async def test_a_writer_that_died_in_the_middle_is_made_good(found, repo, places, tmp_path):
    needs_layers(found)
    tree = await start(repo)
    await left_by("true", repo, places, found, tree, layered=True)
    kept = next((tmp_path / "scratch" / "pristine").iterdir())
    (kept / "tree").unlink()
    (kept / "files" / "README.md").write_text("half")
    assert await left_by("true", repo, places, found, tree, layered=True) == tree
    assert (kept / "files" / "README.md").read_text() == "# Web\n"


async def test_the_lease_ends_with_the_block(found, repo, tmp_path):
    needs_layers(found)
    tree = await start(repo)
    other = await repo.write_tree(tree, {"x": b"x"}, [], {})
    for wanted in (tree, other, tree):
        with ExitStack() as stack:
            assert await repo.lease(stack, wanted, tmp_path / "kept", found.overlay.owner) is not None
    await asyncio.sleep(0)


FORGED = """
import os
for path in ('src', 'docs', 'README.md', 'src/a.py'):
    for space in ('user.overlay.', 'trusted.overlay.', 'user.overlay.overlay.'):
        for name in ('opaque', 'whiteout', 'redirect', 'metacopy'):
            try: os.setxattr(path, space + name, b'y')
            except OSError: pass
try: os.mknod('src/b.py.gone', 0o020666, 0); raise SystemExit('a whiteout was made')
except OSError: pass
open('src/new.py', 'w').write('new')
assert open('src/deep/er/c.py').read() and os.path.exists('docs/guide.md')
"""


async def test_marks_that_a_program_sets_by_hand_hide_nothing(found, repo, places):
    """What the kernel marks folders with to hide what is beneath, forged: the tree is what the program saw."""
    needs_layers(found)
    tree = await start(repo)
    async with places.open(repo, tree, found) as place:
        ran = await found.run(SandboxRun(("python3", "-c", FORGED), place.directory, lower=place.lower))
        assert ran.exit_code == 0, ran
        left = await place.import_result()
    before, after = await repo.list_paths(tree), await repo.list_paths(left)
    assert {path: entry for path, entry in after.items() if path != b"src/new.py"} == before


async def test_a_link_that_a_program_left_is_not_followed_when_the_layer_is_read(found, repo, places, tmp_path):
    needs_layers(found)
    secret, folder = tmp_path / "secret", tmp_path / "folder"
    secret.write_text("canary-of-the-host")
    folder.mkdir()
    (folder / ".gitignore").write_text("*\n")
    tree = await start(repo)
    program = f"ln -sf {secret} README.md; ln -s {folder} linked; rm .gitignore; ln -s {secret} .gitignore; rm -r docs; ln -s {folder} docs"
    left = await left_by(program, repo, places, found, tree, layered=True)
    listed = await repo.list_paths(left)
    assert {listed[name][0] for name in (b"README.md", b"linked", b".gitignore", b"docs")} == {"120000"}
    for _, oid in listed.values():
        assert b"canary" not in await repo.read_blob(oid)
    assert list(folder.iterdir()) == [folder / ".gitignore"]


async def test_two_at_once_on_the_same_files_neither_see_nor_touch_each_other(found, repo, places):
    """As root they are one user: what each can name of the other is nothing, and what one replaces the other keeps."""
    needs_layers(found)
    tree = await start(repo)
    code = """
import os, signal, sys, time
seen = set()
open('mine', 'w').write(sys.argv[1]); os.unlink('src/a.py'); open('src/a.py', 'w').write(sys.argv[1]); open('/tmp/x', 'x')
until = time.monotonic() + 1.5
while time.monotonic() < until:
    for pid in range(2, 400):
        if pid != os.getpid():
            try: os.kill(pid, 9); seen.add(pid)
            except OSError: pass
    seen |= {open('src/a.py').read(), open('mine').read(), open('src/b.py').read(), *os.listdir('/dev/shm'), *os.listdir('/tmp')}
    seen |= set(filter(str.isdigit, os.listdir('/proc'))) - {'1', str(os.getpid())}
print(sorted(map(str, seen)))
"""
    async with places.open(repo, tree, found) as one, places.open(repo, tree, found) as other:
        assert one.lower == other.lower is not None
        ran = await asyncio.gather(*(
            found.run(SandboxRun(("python3", "-c", code, word), place.directory, lower=place.lower))
            for place, word in ((one, "one"), (other, "other"))
        ))  # fmt: skip
        assert [r.log for r in ran] == [b"['one', 'print(2)\\n', 'x']\n", b"['other', 'print(2)\\n', 'x']\n"]
        trees = [await one.import_result(), await other.import_result()]
    assert trees[0] != trees[1]


async def test_one_with_many_processes_leaves_room_for_another(found, repo, places):
    """The kernel counts them for the user, who is the same for both where root starts them; the bounds are each one's."""
    needs_layers(found)
    tree = await start(repo)
    full = asyncio.Event()
    many = "import os, time\nfor _ in range(150):\n  if os.fork() == 0: time.sleep(60); os._exit(0)\nprint('full', flush=True)\ntime.sleep(60)"
    few = "import os\nfor _ in range(8): os.fork() or os._exit(0)\nprint('done')"
    async with places.open(repo, tree, found) as one, places.open(repo, tree, found) as other:
        run = SandboxRun(
            ("python3", "-c", many),
            one.directory,
            SandboxLimits(processes=200),
            lower=one.lower,
            on_output=lambda _: full.set(),
        )
        crowd = asyncio.create_task(found.run(run))
        await full.wait()
        ran = await found.run(
            SandboxRun(("python3", "-c", few), other.directory, SandboxLimits(processes=16), lower=other.lower)
        )
        crowd.cancel()
        with pytest.raises(asyncio.CancelledError):
            await crowd
    assert (ran.exit_code, ran.log) == (0, b"done\n"), ran
