"""A git repository on this host that stands for the remote, read and written as its own server would."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from core.model.errors import Kind, PermanentError
from lanes.repository.address import parse_address
from lanes.repository.command import GitCommand
from lanes.repository.packs import unpack_into
from lanes.repository.running import GitError
from lanes.repository.store import check_oid

_ABSENT: Final = "0" * 40
_MOVED: Final = re.compile(r"but expected|already exists|unable to resolve reference|is at [0-9a-f]{40}")


class Bare:
    """The git directory behind a local address; every method blocks.

    Only plumbing runs on it, with our settings on the command line, so its configuration and its hooks run nothing.
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
        found = self.git.run("rev-parse", "--verify", "--quiet", "--end-of-options", name, ok=(0, 1))
        return found.out.decode().strip() or None

    def refs(self, prefix: str) -> list[str]:
        """The full names of all references below `prefix`."""
        return self.git.line("for-each-ref", "--format=%(refname)", prefix).split("\n")

    def read(self, oid: str) -> bytes:
        """A blob's bytes."""
        return self.git.run("cat-file", "blob", check_oid(oid)).out

    def write(self, content: bytes) -> str:
        """Write a blob; its id."""
        return self.git.line("hash-object", "-w", "--no-filters", "--stdin", stdin=content)

    def move(self, name: str, new: str, old: str | None) -> bool:
        """Point the reference `name` at `new` if it is at `old` (None: absent); False if it is elsewhere."""
        try:
            self.git.run("update-ref", "--no-deref", name, check_oid(new), old or _ABSENT)
        except GitError as failure:
            if _MOVED.search(failure.err):
                return False
            raise
        return True

    def reaches(self, commit: str, tip: str) -> bool:
        """True if `commit` is `tip` or one of its ancestors."""
        asked = self.git.run("merge-base", "--is-ancestor", check_oid(commit), check_oid(tip), ok=(0, 1))
        return asked.code == 0

    def merge_of(self, head: str, tip: str) -> str:
        """The first commit on the line of `tip` that contains `head`: the one that merged it."""
        range_ = (check_oid(tip), f"^{check_oid(head)}")
        line = self.git.line("rev-list", "--first-parent", "--ancestry-path", *range_)
        return line.split("\n")[-1] or head

    def is_checked_out(self, branch: str) -> bool:
        """True if a work tree shows `branch`, so that moving it would leave that work tree behind."""
        shown = self.git.line("for-each-ref", "--format=%(worktreepath)", f"refs/heads/{branch}").strip()
        if not shown:
            return False
        # git lists a bare repository itself as the work tree of the branch that its HEAD names
        itself = Path(shown).resolve() == self.path.resolve()
        return not (itself and self.git.line("rev-parse", "--is-bare-repository") == "true")

    def receive(self, pack: bytes) -> None:
        """Add the objects of a thin pack."""
        unpack_into(self.git, pack)
