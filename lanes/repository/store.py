"""The bare git directory in which this host stores the objects of one repository, with our own configuration."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from pathlib import Path
from typing import Final

from core.model.errors import Kind, PermanentError
from core.ports.repository import Commit, RepositorySpec
from lanes.filetree.removal import remove_tree
from lanes.repository.command import MIB, GitCommand, check_git
from lanes.repository.git_names import check_oid, own_ref
from lanes.repository.packs import unpack_into
from lanes.repository.ref_locks import retry_while_locked
from lanes.repository.running import GitError, GitFloodError

AUTHOR: Final = ("Countersign", "countersign@localhost")
"""Author and committer of every commit; the message names the approvers."""

ATTRIBUTES: Final = (
    "* -text !eol !crlf -ident !filter !working-tree-encoding !diff !merge !whitespace"
    " !export-subst !export-ignore !conflict-marker-size !delta\n"
)
"""``info/attributes`` takes precedence over each tree's ``.gitattributes``, so that no tree changes its bytes."""

_CONFIG: Final = f"""\
[core]
\thooksPath = {os.devnull}
\tattributesFile = {os.devnull}
\texcludesFile = {os.devnull}
\tfsmonitor = false
[gc]
\tauto = 0
[maintenance]
\tauto = false
[protocol]
\tallow = never
[transfer]
\tfsckObjects = true
"""

READ_BYTES: Final = 64 * MIB
"""The most bytes of one file that are read into memory; a pack of 2 MiB can hold 2 GiB of zeros."""


class Store:
    """A bare git directory below `root` for the repository of `spec`, created on first use; every method blocks."""

    def __init__(self, spec: RepositorySpec, root: Path) -> None:
        self.spec = spec
        self.path = root / f"{hashlib.sha256(spec.id.encode()).hexdigest()[:32]}.git"
        self.git = GitCommand(self.path)
        self._ready = False

    def ensure(self) -> None:
        """Create the store if it does not exist; safe for concurrent processes, of which one succeeds."""
        if self._ready:
            return
        check_git()
        if not (self.path / "HEAD").exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            draft = self.path.with_name(f"{self.path.name}.new-{secrets.token_hex(6)}")
            try:
                self._create(draft)
                draft.rename(self.path)
            except OSError:
                if not (self.path / "HEAD").exists():
                    raise
            finally:
                remove_tree(draft)
        self._ready = True

    def _create(self, draft: Path) -> None:
        GitCommand(draft).run(
            "init", "--quiet", "--bare", "--template=", "--object-format=sha1", "--initial-branch=none"
        )
        with (draft / "config").open("a", encoding="utf-8") as config:
            config.write(_CONFIG)
        (draft / "info").mkdir(exist_ok=True)
        (draft / "info" / "attributes").write_text(ATTRIBUTES, encoding="utf-8")
        (draft / "scratch").mkdir(exist_ok=True)

    def tree_of(self, commit: str) -> str:
        """The tree of a commit."""
        return self._peel(commit, "tree")

    def first_parent(self, commit: str) -> str:
        """The first parent of a commit; raises `PermanentError` for a root commit."""
        self.ensure()
        parents = self.git.line("rev-list", "--parents", "--max-count=1", check_oid(commit)).split()[1:]
        if not parents:
            raise PermanentError("no_parent", f"The commit {commit[:12]} has no parent")
        return parents[0]

    def committed_at_s(self, commit: str) -> int:
        """The committer time of a commit in seconds since 1970; never negative."""
        head = self.git.run("cat-file", "commit", check_oid(commit)).out.split(b"\n\n", 1)[0]
        match = re.search(rb"^committer .*> (\d+) [+-]\d+$", head, re.MULTILINE)
        return int(match.group(1)) if match else 0

    def message_of(self, commit: str) -> str:
        """The message of a commit."""
        raw = self.git.run("cat-file", "commit", check_oid(commit)).out
        return raw.partition(b"\n\n")[2].decode("utf-8", "replace")

    def _peel(self, oid: str, kind: str) -> str:
        self.ensure()
        try:
            return self.git.line("rev-parse", "--verify", "--quiet", "--end-of-options", f"{check_oid(oid)}^{{{kind}}}")
        except GitError as failure:
            if failure.code in (1, 128) and not failure.err.strip().startswith("error:"):
                raise missing(oid, self.spec.name) from failure
            raise

    def read_blob(self, oid: str) -> bytes:
        """A blob's bytes; raises `PermanentError` for more than `READ_BYTES`."""
        self.ensure()
        try:
            return self.git.run("cat-file", "blob", check_oid(oid), limit_bytes=READ_BYTES).out
        except GitFloodError as failure:
            raise too_large_to_read(f"The file with the content {oid[:12]}") from failure

    def has(self, oid: str) -> bool:
        """True if the store has `oid` and all objects that it reaches; what our own refs reach counts as complete."""
        self.ensure()
        try:
            self.git.run("rev-list", "--objects", "--quiet", check_oid(oid), "--not", "--all", limit_bytes=MIB)
        except GitError as failure:
            if re.search(r"bad object|missing|unable to read|[Cc]ould not read|not a valid", failure.err):
                return False
            raise
        return True

    def write_commit(self, commit: Commit, *more_parents: str) -> str:
        """Write a commit object; the same arguments give the same id."""
        self.ensure()
        parents = [check_oid(p) for p in (commit.parent, *more_parents)]
        return self.commit_tree(commit.tree, parents, commit.message, int(commit.at.timestamp()))

    def commit_tree(self, tree: str, parents: list[str], message: str, at_s: int) -> str:
        """Write a commit of `tree` with our author name at the UTC second `at_s`; its id."""
        if "\0" in message:
            raise PermanentError("bad_message", "A commit message cannot hold a NUL character")
        name, email = AUTHOR
        stamp = f"@{at_s} +0000"
        author = {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": email, "GIT_AUTHOR_DATE": stamp}
        committer = {"GIT_COMMITTER_NAME": name, "GIT_COMMITTER_EMAIL": email, "GIT_COMMITTER_DATE": stamp}
        text = message if message.endswith("\n") else message + "\n"
        flags = [part for parent in parents for part in ("-p", parent)]
        return self.git.line(
            "commit-tree",
            check_oid(tree),
            *flags,
            stdin=text.encode("utf-8", "replace"),
            environment=author | committer,
        )

    def keep(self, name: str, commit: str) -> None:
        """Point ``refs/countersign/<name>`` at `commit`, so that git does not remove its objects."""
        ref = own_ref(name)
        self.ensure()
        retry_while_locked(self.path, lambda: self.git.run("update-ref", "--no-deref", ref, check_oid(commit)))

    def kept(self, name: str) -> tuple[str, ...]:
        """The commits below ``refs/countersign/<name>/``."""
        ref = own_ref(name)
        self.ensure()
        return tuple(self.git.line("for-each-ref", "--format=%(objectname)", f"{ref}/").split())

    def pack(self, included: list[str], excluded: list[str]) -> bytes:
        """A thin pack of the objects that `included` reach and `excluded` do not."""
        self.ensure()
        lines = [check_oid(oid) for oid in included] + [f"^{check_oid(oid)}" for oid in excluded]
        stdin = "".join(f"{line}\n" for line in lines).encode()
        return self.git.run(
            "pack-objects", "--quiet", "--revs", "--thin", "--stdout", "--delta-base-offset", stdin=stdin
        ).out

    def unpack(self, pack: bytes) -> None:
        """Add the objects of a pack; git checks each of them first."""
        self.ensure()
        unpack_into(self.git, pack)


def too_large_to_read(what: str) -> PermanentError:
    """The error for a file of more than `READ_BYTES`."""
    mend = "Keep such files out of the repository, or edit them by hand."
    return PermanentError("too_large", f"{what} has more than {READ_BYTES // MIB} MiB", mend, kind=Kind.BLOCKED)


def missing(oid: str, name: str) -> PermanentError:
    """The error for an object that is not in the store."""
    return PermanentError("no_such_object", f"The git store of {name} does not have {oid[:12]}", kind=Kind.MISSING)
