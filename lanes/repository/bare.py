"""Reads and writes the git repository on this host that the local forge uses as its remote."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from core.model.errors import Kind, PermanentError
from lanes.repository.address import parse_address
from lanes.repository.command import GitCommand
from lanes.repository.git_names import check_oid
from lanes.repository.packs import unpack_into
from lanes.repository.running import GitError

_ABSENT: Final = "0" * 40
_MOVED: Final = re.compile(r"but expected|already exists|unable to resolve reference|is at [0-9a-f]{40}")


class Bare:
    """The git directory behind a local address; every method blocks.

    Only plumbing commands run on it, with our settings on the command line, so that its configuration and hooks run
    no program.
    """

    def __init__(self, url: str) -> None:
        path = parse_address(url).path
        if path is None:
            mend = "Use `forge: github` for it, or name a bare repository on this host."
            raise PermanentError("not_local", f"{url} is not on this host", mend, kind=Kind.USAGE)
        self.path = path
        self.git = GitCommand(path / ".git" if (path / ".git").is_dir() else path)

    def ref(self, name: str) -> str | None:
        """What the full reference `name` points to, or None."""
        result = self.git.run("rev-parse", "--verify", "--quiet", "--end-of-options", name, ok=(0, 1))
        return result.out.decode().strip() or None

    def refs(self, prefix: str) -> list[str]:
        """The full names of all references below `prefix`."""
        return self.git.line("for-each-ref", "--format=%(refname)", prefix).split("\n")

    def read(self, oid: str) -> bytes:
        """A blob's bytes."""
        return self.git.run("cat-file", "blob", check_oid(oid)).out

    def write(self, content: bytes) -> str:
        """Write a blob; its id."""
        return self.git.line("hash-object", "-w", "--no-filters", "--stdin", stdin=content)

    def move_ref(self, name: str, new: str, old: str | None) -> bool:
        """Point the reference `name` at `new` if it is at `old` (None: absent); False if it is not at `old`."""
        try:
            self.git.run("update-ref", "--no-deref", name, check_oid(new), old or _ABSENT)
        except GitError as failure:
            if _MOVED.search(failure.err):
                return False
            raise
        return True

    def reaches(self, commit: str, tip: str) -> bool:
        """True if `commit` is `tip` or one of its ancestors."""
        result = self.git.run("merge-base", "--is-ancestor", check_oid(commit), check_oid(tip), ok=(0, 1))
        return result.code == 0

    def find_merge(self, head: str, tip: str) -> str:
        """The first commit in the first-parent history of `tip` that contains `head`: the one that merged it."""
        range_ = (check_oid(tip), f"^{check_oid(head)}")
        line = self.git.line("rev-list", "--first-parent", "--ancestry-path", *range_)
        return line.split("\n")[-1] or head

    def is_checked_out(self, branch: str) -> bool:
        """True if a work tree has `branch` checked out, so that moving it would make that work tree outdated."""
        path = self.git.line("for-each-ref", "--format=%(worktreepath)", f"refs/heads/{branch}").strip()
        if not path:
            return False
        # git lists a bare repository itself as the work tree of the branch that its HEAD names
        is_itself = Path(path).resolve() == self.path.resolve()
        return not (is_itself and self.git.line("rev-parse", "--is-bare-repository") == "true")

    def receive(self, pack: bytes) -> None:
        """Add the objects of a thin pack."""
        unpack_into(self.git, pack)
