"""The local forge: a git repository on this host stands for the remote and keeps its own pull requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Final, ParamSpec, TypeVar

from core.model.errors import ConflictError, NotFoundError, PermanentError, TransientError
from core.model.stored import StoredObject
from core.model.task import PullRequest
from core.ports import Commit, PullRequestDraft, Repository
from lanes.forge.branches import check_ours, moved, push_branch
from lanes.repository import GitRepository, as_git, guarded
from lanes.repository.bare import Bare
from lanes.repository.merging import merge, rebase

P = ParamSpec("P")
T = TypeVar("T")

PULLS: Final = "refs/countersign/pulls/"
METHODS: Final = frozenset({"merge", "squash", "rebase"})
_TRIES: Final = 8


@dataclass(frozen=True, slots=True)
class Record:
    """A pull request as the remote holds it: a JSON blob under ``refs/countersign/pulls/<number>``."""

    number: int
    title: str
    body: str
    branch: str
    into: str
    head: str
    state: str
    revision: int
    digest: str
    merge_commit: str | None = None

    def encoded(self) -> bytes:
        """The blob's bytes."""
        return json.dumps({"version": 1, **asdict(self)}, indent=1, sort_keys=True).encode() + b"\n"

    @classmethod
    def decoded(cls, raw: bytes) -> Record:
        """The record in a blob; raises `PermanentError` when somebody wrote something else there."""
        try:
            stored = StoredObject(json.loads(raw), "a pull request", version_key="version")
            return cls(
                number=stored["number"],
                title=stored["title"],
                body=stored["body"],
                branch=stored["branch"],
                into=stored["into"],
                head=stored["head"],
                state=stored["state"],
                revision=stored["revision"],
                digest=stored["digest"],
                merge_commit=stored.get("merge_commit"),
            )
        except (ValueError, TypeError, AttributeError) as error:
            raise PermanentError("bad_record", f"A pull request below {PULLS} cannot be read") from error


class LocalForge:
    """Pull requests of repositories on this host.

    Branches arrive by a real push, so the remote's own hooks see them. Records and the merge are written by
    compare-and-swap of one reference, so a crash at any point leaves either the old or the new, and a repeated call
    finds what the first one did. The branch that is merged into moves in `merge` only.
    """

    async def push(self, repository: Repository, branch: str, commit: str, expected: str | None) -> None:
        """Move `branch` to `commit` if it is at `expected`; raises `ConflictError` when somebody else moved it."""
        await push_branch(as_git(repository), branch, commit, expected)

    async def open(self, repository: Repository, proposal: PullRequestDraft) -> PullRequest:
        """Open the pull request, or adopt and update the one this branch already has."""
        return await _do(repository, _open, as_git(repository), proposal)

    async def look(self, repository: Repository, pull_request: PullRequest) -> PullRequest:
        """The pull request as the remote has it now; a merge or a deleted branch made by hand counts."""
        return await _do(repository, _look, as_git(repository), pull_request)

    async def merge(
        self, repository: Repository, pull_request: PullRequest, message: str, method: str = "merge"
    ) -> str:
        """Merge if its head is still `pull_request.head`, and return the id of the commit that it made the tip."""
        if method not in METHODS:
            raise PermanentError("merge_method", f"{method[:40]!r} is no way to merge", "merge, squash or rebase.")
        return await _do(repository, _merge, as_git(repository), pull_request, message, method)

    async def close(self, repository: Repository, pull_request: PullRequest) -> None:
        """Close without merging and delete the branch, unless somebody else moved it."""
        git = as_git(repository)
        await _do(repository, _close, git, pull_request)
        ref = check_ours(pull_request.branch)
        try:
            if ref in await git.remote_refs(ref):
                await git.push(ref, "", pull_request.head)
        except PermanentError:
            return  # the remote lets nobody delete branches; the pull request is closed all the same


def _open(git: GitRepository, proposal: PullRequestDraft) -> PullRequest:
    bare = Bare(git.spec.url)
    check_ours(proposal.branch)
    for _ in range(_TRIES):
        number, old, record = _place(bare, proposal)
        if record is not None and record.state != "open":
            return _shown(bare, record)
        wanted = Record(
            number=number,
            title=proposal.title,
            body=proposal.body,
            branch=proposal.branch,
            into=proposal.into,
            head=proposal.head,
            state="open",
            revision=proposal.revision,
            digest=proposal.digest,
        )
        if record == wanted or bare.move(f"{PULLS}{number}", bare.write(wanted.encoded()), old):
            return _shown(bare, wanted)
    raise _busy(git)


def _place(bare: Bare, proposal: PullRequestDraft) -> tuple[int, str | None, Record | None]:
    """Where the proposal's record is or belongs: (number, the reference's blob, the record there).

    The task's number, unless another home once used it for another branch; then the next free one.
    """
    own = bare.ref(f"{PULLS}{proposal.number}")
    if own is None:
        return proposal.number, None, None
    record = Record.decoded(bare.read(own))
    if _belongs(record, proposal):
        return proposal.number, own, record
    numbers = sorted(int(name.removeprefix(PULLS)) for name in bare.refs(PULLS) if name)
    for number in numbers:
        oid = bare.ref(f"{PULLS}{number}")
        if oid is not None and _belongs(other := Record.decoded(bare.read(oid)), proposal):
            return number, oid, other
    return numbers[-1] + 1, None, None


def _belongs(record: Record, proposal: PullRequestDraft) -> bool:
    return record.branch == proposal.branch and (record.state == "open" or record.head == proposal.head)


def _look(git: GitRepository, pull_request: PullRequest) -> PullRequest:
    bare = Bare(git.spec.url)
    _, record = _record(bare, pull_request)
    if record.state != "open":
        return _shown(bare, record)
    head = bare.ref(f"refs/heads/{record.branch}")
    tip = bare.ref(f"refs/heads/{record.into}")
    if tip is not None and _merged_as(bare, record, tip):
        return _shown(bare, replace(record, state="merged"))
    if head is None:
        return _shown(bare, replace(record, state="closed"))
    return _shown(bare, replace(record, head=head))


def _merge(git: GitRepository, pull_request: PullRequest, message: str, method: str) -> str:
    bare = Bare(git.spec.url)
    _, record = _record(bare, pull_request)
    if record.state == "closed":
        raise ConflictError("closed", f"pull request {record.number} is closed", "Ask for it again.")
    if record.state == "merged" and record.merge_commit:
        return record.merge_commit
    merged = _merge_now(git, bare, pull_request, message, method)
    _settle(git, bare, pull_request, lambda r: replace(r, state="merged", merge_commit=merged))
    return merged


def _merge_now(git: GitRepository, bare: Bare, pull_request: PullRequest, message: str, method: str) -> str:
    """The commit that merges the head: one that a crash, a person or a rival left there, else a new one."""
    store, head = git.store, pull_request.head
    for _ in range(_TRIES):
        _, record = _record(bare, pull_request)
        tip = store.fetch_tip(record.into)
        if (merged := _merged_as(bare, replace(record, head=head), tip)) is not None:
            return merged
        _check_mergeable(bare, record, head)
        if not store.has(head):
            store.fetch(f"{check_ours(record.branch)}:refs/heads-seen/{record.number}")
        commit = _joined(git, tip, head, message, method)
        bare.receive(store.pack([commit], [tip, head]))
        if method != "merge":  # its head will be no ancestor: a crash after the move finds it by this alone
            _settle(git, bare, pull_request, partial(replace, merge_commit=commit))
        if bare.move(f"refs/heads/{record.into}", commit, tip):
            return commit
    raise _busy(git)


def _merged_as(bare: Bare, record: Record, tip: str) -> str | None:
    """The commit below `tip` that merged the record's head, if one did."""
    if bare.reaches(record.head, tip):
        return bare.merge_of(record.head, tip)
    begun = record.merge_commit
    return begun if begun and bare.reaches(begun, tip) else None


def _joined(git: GitRepository, tip: str, head: str, message: str, method: str) -> str:
    """A commit on top of `tip` with the change of `head`; the same arguments give the same id."""
    store = git.store
    if method == "rebase":
        return rebase(store, tip, head)
    tree = merge(store, tip, head)
    at = datetime.fromtimestamp(max(store.committed_at_s(tip), store.committed_at_s(head)), UTC)
    return store.write_commit(Commit(tree, tip, message, at), *((head,) if method == "merge" else ()))


def _check_mergeable(bare: Bare, record: Record, head: str) -> None:
    """Raise unless the branch is still at `head` and no work tree shows what it is merged into."""
    if bare.is_checked_out(record.into):
        mend = "Use a bare repository as the remote, or merge the branch in that work tree."
        raise PermanentError("checked_out", f"{record.into} is checked out in {bare.path}", mend)
    now = bare.ref(check_ours(record.branch))
    if now != head:
        raise moved(record.branch, head, now)


def _close(git: GitRepository, pull_request: PullRequest) -> None:
    bare = Bare(git.spec.url)
    record = _settle(git, bare, pull_request, lambda r: replace(r, state="closed") if r.state == "open" else r)
    if record.state == "merged":
        raise ConflictError("merged", f"pull request {record.number} is merged", "Undo it instead.")


def _settle(git: GitRepository, bare: Bare, pull_request: PullRequest, change: Callable[[Record], Record]) -> Record:
    """The record after `change`, written by compare-and-swap."""
    for _ in range(_TRIES):
        old, record = _record(bare, pull_request)
        wanted = change(record)
        if wanted == record or bare.move(f"{PULLS}{record.number}", bare.write(wanted.encoded()), old):
            return wanted
    raise _busy(git)


def _record(bare: Bare, pull_request: PullRequest) -> tuple[str, Record]:
    oid = bare.ref(f"{PULLS}{pull_request.number}")
    if oid is None:
        raise NotFoundError("no_pull_request", f"{bare.path} has no pull request {pull_request.number}")
    return oid, Record.decoded(bare.read(oid))


def _shown(bare: Bare, record: Record) -> PullRequest:
    return PullRequest(
        number=record.number,
        url=f"{bare.path.absolute().as_uri()}#pull/{record.number}",
        branch=record.branch,
        head=record.head,
        state=record.state,
        revision=record.revision,
        digest=record.digest,
    )


def _busy(git: GitRepository) -> TransientError:
    return TransientError("remote_busy", f"{git.spec.name} changes faster than we can write", retry_after_s=5)


async def _do(repository: Repository, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    return await asyncio.to_thread(guarded, repository.spec.name, lambda: work(*args, **kwargs))
