"""The host's own bare git store of one repository: made once, filled by fetching, never configured by anyone else."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from core.model.change import show_path
from core.model.errors import Kind, PermanentError
from core.ports import Commit, RepositorySpec
from lanes.filetree.removal import remove_tree
from lanes.repository.address import Address, parse_address
from lanes.repository.command import MIB, GitCommand, Output, check_git
from lanes.repository.credentials import Credentials, admitted
from lanes.repository.faults import LOCK_FILE, LOCKED, push_refusal
from lanes.repository.packs import sweep, unpack_into
from lanes.repository.running import GitError, GitFloodError

T = TypeVar("T")

WHO: Final = ("Countersign", "countersign@localhost")
"""Author and committer of every commit made here: the approvers are named in the message, not impersonated."""

ATTRIBUTES: Final = (
    "* -text !eol !crlf -ident !filter !working-tree-encoding !diff !merge !whitespace"
    " !export-subst !export-ignore !conflict-marker-size !delta\n"
)
"""``info/attributes`` outranks every ``.gitattributes`` of a tree, so no tree changes what its bytes mean."""

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

_OID: Final = re.compile(r"[0-9a-f]{40}")
_BRANCH: Final = re.compile(
    r"(?!.*(?:\.\.|//|@\{|\.lock(?:/|$)|/\.|[./]$))[^\x00-\x20\x7f~^:?*\[\\.@/-][^\x00-\x20\x7f~^:?*\[\\]*"
)
_KEPT: Final = re.compile(r"(?!.*(?:\.\.|//|\.lock(?:/|$)|/\.|[./]$))[A-Za-z0-9][A-Za-z0-9._/-]*")
STALE_LOCK_S: Final = 60.0
FETCH_S: Final = 900.0
READ_BYTES: Final = 64 * MIB
"""How much of one file is held in memory: 2 GiB of zeros are 2 MiB in a pack."""


def check_oid(oid: str) -> str:
    """`oid` itself if it is a full object id; raises `PermanentError` before git could read it as an option."""
    if not _OID.fullmatch(oid):
        raise PermanentError("bad_object_id", f"{show_path(oid[:80].encode('utf-8', 'replace'))!r} is no object id")
    return oid


def check_branch(branch: str) -> str:
    """`branch` itself if it is a safe branch name; raises `PermanentError` otherwise."""
    if not _BRANCH.fullmatch(branch) or len(branch) > 200:
        mend = "Name a branch, such as main."
        raise PermanentError("bad_branch", f"{branch[:80]!r} is no branch name", mend, kind=Kind.USAGE)
    return branch


class Store:
    """One bare git directory and the remote it is filled from; every method blocks.

    `credentials` let git into a private https remote; an ssh or local one needs none.
    """

    credentials: Credentials | None = None

    def __init__(self, spec: RepositorySpec, root: Path, credentials: Credentials | None = None) -> None:
        self.spec, self.credentials = spec, credentials
        self.path = root / f"{hashlib.sha256(spec.id.encode()).hexdigest()[:32]}.git"
        self.git = GitCommand(self.path)
        self._ready = False

    @property
    def address(self) -> Address:
        """The checked address of the remote."""
        return parse_address(self.spec.url)

    def ensure(self) -> None:
        """Make the store if it is not there; several processes may try at once, and one of them wins."""
        if self._ready:
            return
        check_git()
        if not (self.path / "HEAD").exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            draft = self.path.with_name(f"{self.path.name}.new-{secrets.token_hex(6)}")
            try:
                self._make(draft)
                draft.rename(self.path)
            except OSError:
                if not (self.path / "HEAD").exists():
                    raise
            finally:
                remove_tree(draft)
        self._ready = True

    def _make(self, draft: Path) -> None:
        maker = GitCommand(draft)
        maker.run("init", "--quiet", "--bare", "--template=", "--object-format=sha1", "--initial-branch=none")
        with (draft / "config").open("a", encoding="utf-8") as config:
            config.write(_CONFIG)
        (draft / "info").mkdir(exist_ok=True)
        (draft / "info" / "attributes").write_text(ATTRIBUTES, encoding="utf-8")
        (draft / "scratch").mkdir(exist_ok=True)

    # -- the remote ---------------------------------------------------------------------------------------------

    def fetch_base(self) -> str:
        """Fetch the default branch alone; its commit id."""
        return self.fetch_tip(self.spec.branch)

    def fetch_tip(self, branch: str) -> str:
        """Fetch one branch alone; its commit id."""
        check_branch(branch)
        base = f"refs/bases/{hashlib.sha256(branch.encode()).hexdigest()[:16]}"
        try:
            self.fetch(f"+refs/heads/{branch}:{base}")
        except GitError as failure:
            if "find remote ref" in failure.err:
                raise self._no_branch(branch) from failure
            raise
        return self.git.line("rev-parse", "--verify", "--end-of-options", f"{base}^{{commit}}")

    def fetch(self, refspec: str) -> None:
        """Fetch what `refspec` (made here) names from the remote."""
        self.ensure()
        options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules")
        # a remote that is a shallow clone itself has no more history to give; without this git takes nothing from it
        argv = ("fetch", *options, "--update-shallow", "--", self.address.url, refspec)
        try:
            self.unlocked(lambda: self._reach(*argv, timeout_s=FETCH_S))
        except GitError:
            sweep(self.path)
            raise

    def _reach(self, *argv: str, **how: Any) -> Output:
        """Run git on the remote: over its one protocol, and let in where that needs a token."""
        protocol = self.address.protocol
        return admitted(
            self.credentials,
            self.spec,
            protocol,
            lambda environment: self.git.run(*argv, protocols=protocol, environment=environment, **how),
        )

    def remote_refs(self, *refs: str) -> dict[str, str]:
        """What the remote has under the full names `refs` (all branches without any): name to object id."""
        self.ensure()
        wanted = refs or ("refs/heads/*",)
        out = self._reach("ls-remote", "--quiet", "--", self.address.url, *wanted, limit_bytes=64 * MIB).out
        pairs = (line.split("\t", 1) for line in out.decode("utf-8", "surrogateescape").splitlines())
        return {name: oid for oid, name in pairs if not refs or name in refs}

    def default_branch(self) -> str:
        """The branch that the remote's HEAD names; ``main`` when it has none yet. Needs no store."""
        check_git()
        asked = ("ls-remote", "--quiet", "--symref", "--", self.address.url, "HEAD")
        out = self._reach(*asked).out.decode("utf-8", "surrogateescape")
        found = re.search(r"^ref: refs/heads/(\S+)\tHEAD$", out, re.MULTILINE)
        return check_branch(found.group(1)) if found else "main"

    def push(self, ref: str, commit: str, expected: str | None) -> bool:
        """Move the remote's `ref` from `expected` (None: absent) to `commit`; False if it is elsewhere.

        `commit` may be empty to delete. Raises `PermanentError` when the remote's own rules refuse it.
        """
        self.ensure()
        options = ("--porcelain", "--no-verify", "--no-follow-tags", "--no-recurse-submodules", "--no-signed")
        lease = f"--force-with-lease={ref}:{expected or ''}"
        argv = ("push", *options, lease, "--", self.address.url, f"{commit}:{ref}")
        done = self.unlocked(lambda: self._reach(*argv, ok=(0, 1), timeout_s=FETCH_S))
        if done.code == 0:
            return True
        said = done.out.decode("utf-8", "replace")
        if "[remote failure]" in said or not re.search(r"^!\t", said, re.MULTILINE):
            raise GitError("push", done.code, done.err)  # the line broke: nobody refused anything
        if "stale info" in said or "[rejected]" in said:
            return False
        if re.search(r"cannot lock ref|failed to update ref|fetch first|incorrect old value", said):
            return False
        raise push_refusal(said, done.err, self.spec.name, ref.removeprefix("refs/heads/"))

    def _no_branch(self, branch: str) -> PermanentError:
        heads = sorted(name.removeprefix("refs/heads/") for name in self.remote_refs())
        name = self.spec.name
        if not heads:
            mend = "Push a first commit to it."
            return PermanentError("repository_empty", f"The repository {name} has no commit yet", mend)
        listed = ", ".join(show_path(head.encode("utf-8", "surrogateescape")) for head in heads[:5])
        mend = f"It has {listed}; set `branch:` of {name} in countersign.yaml."
        return PermanentError("no_such_branch", f"The repository {name} has no branch {branch}", mend)

    # -- objects ------------------------------------------------------------------------------------------------

    def tree_of(self, commit: str) -> str:
        """The tree of a commit."""
        return self._peel(commit, "tree")

    def first_parent(self, commit: str) -> str:
        """The first parent of a commit; raises `PermanentError` for a root commit."""
        self.ensure()
        parents = self.git.line("rev-list", "--parents", "--max-count=1", check_oid(commit)).split()[1:]
        if not parents:
            raise PermanentError("no_parent", f"The commit {commit[:12]} is the first one; there is nothing before it")
        return parents[0]

    def committed_at_s(self, commit: str) -> int:
        """When a commit was committed, in seconds since 1970; never negative."""
        head = self.git.run("cat-file", "commit", check_oid(commit)).out.split(b"\n\n", 1)[0]
        found = re.search(rb"^committer .*> (\d+) [+-]\d+$", head, re.MULTILINE)
        return int(found.group(1)) if found else 0

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
        """True if `oid` and all it reaches is here; what our own references reach is taken as whole."""
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
        """A commit of `tree` by us at the UTC second `at_s`."""
        if "\0" in message:
            raise PermanentError("bad_message", "A commit message cannot hold a NUL character")
        name, email = WHO
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
        """Point ``refs/countersign/<name>`` at `commit`."""
        if not _KEPT.fullmatch(name) or len(name) > 200:
            raise ValueError(f"{name!r} cannot name a reference")
        self.ensure()
        self.unlocked(lambda: self.git.run("update-ref", "--no-deref", f"refs/countersign/{name}", check_oid(commit)))

    def kept(self, name: str) -> tuple[str, ...]:
        """The commits below ``refs/countersign/<name>/``."""
        if not _KEPT.fullmatch(name):
            raise ValueError(f"{name!r} cannot name a reference")
        self.ensure()
        return tuple(self.git.line("for-each-ref", "--format=%(objectname)", f"refs/countersign/{name}/").split())

    def pack(self, wanted: list[str], had: list[str]) -> bytes:
        """A thin pack of what `wanted` reach and `had` do not."""
        self.ensure()
        lines = [check_oid(oid) for oid in wanted] + [f"^{check_oid(oid)}" for oid in had]
        stdin = "".join(f"{line}\n" for line in lines).encode()
        return self.git.run(
            "pack-objects", "--quiet", "--revs", "--thin", "--stdout", "--delta-base-offset", stdin=stdin
        ).out

    def unpack(self, pack: bytes) -> None:
        """Add the objects of a pack, after git has checked each of them."""
        self.ensure()
        unpack_into(self.git, pack)

    # -- locks --------------------------------------------------------------------------------------------------

    def unlocked(self, work: Callable[[], T]) -> T:
        """Do `work`, again while another process holds the reference it needs; a dead one's lock is broken."""
        for attempt in range(7):
            try:
                return work()
            except GitError as failure:
                if attempt == 6 or not LOCKED.search(failure.err):
                    raise
                self._break_stale(LOCK_FILE.search(failure.err))
                time.sleep(0.05 * 2**attempt)
        raise AssertionError("unreachable")

    def _break_stale(self, named: re.Match[str] | None) -> None:
        """Remove a lock that a killed git left in this store; git itself never does."""
        if named is None:
            return
        lock = Path(named.group(1))
        try:
            inside = lock.resolve().is_relative_to(self.path.resolve())
            if inside and time.time() - lock.stat().st_mtime > STALE_LOCK_S:
                lock.unlink()
        except OSError:
            return


def too_large_to_read(what: str) -> PermanentError:
    """The error for a file of more than `READ_BYTES`."""
    mend = "Keep such files out of the repository, or edit them by hand."
    return PermanentError("too_large", f"{what} has more than {READ_BYTES // MIB} MiB", mend, kind=Kind.BLOCKED)


def missing(oid: str, name: str) -> PermanentError:
    """The error for an object that is not in the store."""
    return PermanentError("no_such_object", f"The git store of {name} lacks {oid[:12]}", kind=Kind.MISSING)
