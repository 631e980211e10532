"""A real remote to work against, made with git alone and nothing of ours."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from core.ports import RepositorySpec
from lanes.repository import GitRepository
from tests.templates import copy_of

NAMES = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.com", "GIT_COMMITTER_NAME": "t"}
WHO = {**NAMES, "GIT_COMMITTER_EMAIL": "t@example.com", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

Files = Mapping[bytes, tuple[str, bytes]]
"""Paths to (mode, content); a gitlink's content is the hex of its commit."""


def names_in(folder: Path) -> list[str]:
    """The names in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())


def git(*argv: object, at: Path, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
    """The output of plain git on the git directory or work tree `at`."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    where = ["--git-dir", str(at)] if (at / "HEAD").exists() else ["-C", str(at)]
    done = subprocess.run(
        ["git", *where, *map(str, argv)],
        input=stdin,
        env={**clean, **WHO, **(env or {})},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, (argv, done.stderr.decode(errors="replace"))
    return done.stdout


def line(*argv: object, at: Path) -> str:
    """One line of git's output."""
    return git(*argv, at=at).decode().strip()


def plant(at: Path, files: Files) -> str:
    """Write a tree of any names and modes straight into git's objects."""
    index = at / f"plant-{os.urandom(4).hex()}"
    env = {"GIT_INDEX_FILE": str(index)}
    records = []
    for path, (mode, content) in files.items():
        oid = content if mode == "160000" else git("hash-object", "-w", "--stdin", at=at, stdin=content).strip()
        records.append(b"%s %s\t%s\0" % (mode.encode(), oid, path))
    git("update-index", "-z", "--index-info", at=at, stdin=b"".join(records), env=env)
    tree = git("write-tree", at=at, env=env).decode().strip()
    index.unlink(missing_ok=True)
    return tree


def commit(at: Path, tree: str, *parents: str, message: str = "made by hand") -> str:
    """A commit of `tree`."""
    flags = [part for parent in parents for part in ("-p", parent)]
    return git("commit-tree", tree, *flags, at=at, stdin=message.encode()).decode().strip()


def remote(path: Path, files: Mapping[str, str], *, bare: bool = True) -> Path:
    """A repository whose main has one commit of `files`."""
    copy_of((path.name, bare, *files.items()), path.parent, lambda folder: _make(folder / path.name, files, bare=bare))
    return path


def _make(path: Path, files: Mapping[str, str], *, bare: bool) -> None:
    work = path if not bare else path.with_name(path.name + ".work")
    work.mkdir()
    git("init", "-q", "-b", "main", ".", at=work)
    for name, text in files.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(text)
    git("add", "-A", at=work)
    git("commit", "-q", "-m", "start", at=work)
    if bare:
        git("clone", "-q", "--bare", work, path, at=path.parent)


def store(url: Path | str, state: Path, *, branch: str = "main", name: str = "web") -> GitRepository:
    """Our side of it."""
    return GitRepository(RepositorySpec(name, f"{name}-id", str(url), branch, "local"), state / "git")
