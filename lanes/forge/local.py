"""The local forge: a git repository on this host is the remote and stores its own pull requests."""

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
from core.ports.forge import PullRequestDraft
from core.ports.repository import Commit, Repository
from lanes.forge.branches import branch_moved, check_own_branch, push_branch
from lanes.repository import GitRepository, as_git, guarded
from lanes.repository.bare import Bare
from lanes.repository.merging import merge, rebase

P = ParamSpec("P")
T = TypeVar("T")

PULLS_PREFIX: Final = "refs/countersign/pulls/"
METHODS: Final = frozenset({"merge", "squash", "rebase"})
_ATTEMPTS: Final = 8


@dataclass(frozen=True, slots=True)
class PullRecord:
    """A pull request as the remote stores it: a JSON blob under ``refs/countersign/pulls/<number>``."""

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

    def encode(self) -> bytes:
        """The bytes of the blob."""
        return json.dumps({"version": 1, **asdict(self)}, indent=1, sort_keys=True).encode() + b"\n"

    @classmethod
    def decode(cls, raw: bytes) -> PullRecord:
        """The record in a blob; raises `PermanentError` when the blob is not a record."""
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
            raise PermanentError("bad_record", f"A pull request below {PULLS_PREFIX} cannot be read") from error


class LocalForge:
    """Pull requests of repositories on this host.

    Branches are pushed by git, so that the remote's hooks run. Records and merges are written by compare-and-swap of
    one reference: a crash leaves the old or the new value, and a repeated call finds the first call's effect. Only
    `merge` moves the target branch.
    """

    async def push(self, repository: Repository, branch: str, commit: str, expected: str | None) -> None:
        """Move `branch` to `commit` if it is at `expected`; raises `ConflictError` when someone else moved it."""
        await push_branch(as_git(repository), branch, commit, expected)

    async def open(self, repository: Repository, proposal: PullRequestDraft) -> PullRequest:
        """Open the pull request, or adopt and update the one this branch already has."""
        return await _do(repository, _open, as_git(repository), proposal)

    async def poll(self, repository: Repository, pull_request: PullRequest) -> PullRequest:
        """The pull request as it is in the remote now; merges and deletions of the branch by hand count."""
        return await _do(repository, _look, as_git(repository), pull_request)

    async def merge(
        self,
        repository: Repository,
        pull_request: PullRequest,
        message: str,
        method: str = "merge",
        onto: str | None = None,
    ) -> str:
        """Merge if the head is still `pull_request.head` and the target at `onto`; the id of the target's new tip."""
        if method not in METHODS:
            raise PermanentError(
                "merge_method", f"{method[:40]!r} is not a merge method", "Use merge, squash or rebase."
            )
        return await _do(repository, _merge, as_git(repository), pull_request, message, method, onto)

    async def close(self, repository: Repository, pull_request: PullRequest) -> None:
        """Close without merging, and delete the branch unless someone else moved it."""
        git = as_git(repository)
        await _do(repository, _close, git, pull_request)
        ref = check_own_branch(pull_request.branch)
        try:
            if ref in await git.remote_refs(ref):
                await git.push(ref, "", pull_request.head)
        except PermanentError:
            return  # the remote forbids deleting branches; the pull request is closed nevertheless


def _open(git: GitRepository, proposal: PullRequestDraft) -> PullRequest:
    bare = Bare(git.spec.url)
    check_own_branch(proposal.branch)
    for _ in range(_ATTEMPTS):
        number, old, record = _find_place(bare, proposal)
        if record is not None and record.state != "open":
            return _pull_request(bare, record)
        new = PullRecord(
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
        if record == new or bare.move_ref(f"{PULLS_PREFIX}{number}", bare.write(new.encode()), old):
            return _pull_request(bare, new)
    raise _busy(git)


def _find_place(bare: Bare, proposal: PullRequestDraft) -> tuple[int, str | None, PullRecord | None]:
    """The number of the proposal's record, with the blob and the record that exist under it.

    The number is the task's, or the next free one if another home has used it for another branch.
    """
    blob = bare.ref(f"{PULLS_PREFIX}{proposal.number}")
    if blob is None:
        return proposal.number, None, None
    record = PullRecord.decode(bare.read(blob))
    if _belongs(record, proposal):
        return proposal.number, blob, record
    numbers = sorted(int(name.removeprefix(PULLS_PREFIX)) for name in bare.refs(PULLS_PREFIX) if name)
    for number in numbers:
        oid = bare.ref(f"{PULLS_PREFIX}{number}")
        if oid is not None and _belongs(other := PullRecord.decode(bare.read(oid)), proposal):
            return number, oid, other
    return numbers[-1] + 1, None, None


def _belongs(record: PullRecord, proposal: PullRequestDraft) -> bool:
    return record.branch == proposal.branch and (record.state == "open" or record.head == proposal.head)


def _look(git: GitRepository, pull_request: PullRequest) -> PullRequest:
    bare = Bare(git.spec.url)
    _, record = _read_record(bare, pull_request)
    if record.state != "open":
        return _pull_request(bare, record)
    head = bare.ref(f"refs/heads/{record.branch}")
    tip = bare.ref(f"refs/heads/{record.into}")
    if tip is not None and _find_merge(bare, record, tip):
        return _pull_request(bare, replace(record, state="merged"))
    if head is None:
        return _pull_request(bare, replace(record, state="closed"))
    return _pull_request(bare, replace(record, head=head))


def _merge(git: GitRepository, pull_request: PullRequest, message: str, method: str, onto: str | None) -> str:
    bare = Bare(git.spec.url)
    _, record = _read_record(bare, pull_request)
    if record.state == "closed":
        raise ConflictError("closed", f"Pull request {record.number} is closed", "Ask for it again.")
    if record.state == "merged" and record.merge_commit:
        return record.merge_commit
    merged = _merge_now(git, bare, pull_request, message, method, onto)
    _update(git, bare, pull_request, lambda record: replace(record, state="merged", merge_commit=merged))
    return merged


def _merge_now(
    git: GitRepository, bare: Bare, pull_request: PullRequest, message: str, method: str, onto: str | None
) -> str:
    """The commit that merges the head: an existing one, from before a crash or by someone else, or a new one."""
    store, head = git.store, pull_request.head
    for _ in range(_ATTEMPTS):
        _, record = _read_record(bare, pull_request)
        tip = git.remote.fetch_tip(record.into)
        if (merged := _find_merge(bare, replace(record, head=head), tip)) is not None:
            return merged
        if onto not in (None, tip):
            raise TransientError("target_moved", f"{record.into} of {git.spec.name} moved on", retry_after_s=1)
        _check_mergeable(bare, record, head)
        if not store.has(head):
            git.remote.fetch(f"{check_own_branch(record.branch)}:refs/heads-seen/{record.number}")
        commit = _write_merge(git, tip, head, message, method)
        bare.receive(store.pack([commit], [tip, head]))
        if method != "merge":  # the head is not an ancestor of this commit: after a crash only the record finds it
            _update(git, bare, pull_request, partial(replace, merge_commit=commit))
        if bare.move_ref(f"refs/heads/{record.into}", commit, tip):
            return commit
    raise _busy(git)


def _find_merge(bare: Bare, record: PullRecord, tip: str) -> str | None:
    """The commit in the history of `tip` that merged the record's head; None if there is none."""
    if bare.reaches(record.head, tip):
        return bare.find_merge(record.head, tip)
    commit = record.merge_commit
    return commit if commit and bare.reaches(commit, tip) else None


def _write_merge(git: GitRepository, tip: str, head: str, message: str, method: str) -> str:
    """Write a commit on top of `tip` with the change of `head`; the same arguments give the same id."""
    store = git.store
    if method == "rebase":
        return rebase(store, tip, head)
    tree = merge(store, tip, head)
    at = datetime.fromtimestamp(max(store.committed_at_s(tip), store.committed_at_s(head)), UTC)
    return store.write_commit(Commit(tree, tip, message, at), *((head,) if method == "merge" else ()))


def _check_mergeable(bare: Bare, record: PullRecord, head: str) -> None:
    """Raise unless the branch is still at `head` and no work tree has the target branch checked out."""
    if bare.is_checked_out(record.into):
        mend = "Use a bare repository as the remote, or merge the branch in that work tree."
        raise PermanentError("checked_out", f"{record.into} is checked out in {bare.path}", mend)
    now = bare.ref(check_own_branch(record.branch))
    if now != head:
        raise branch_moved(record.branch, head, now)


def _close(git: GitRepository, pull_request: PullRequest) -> None:
    bare = Bare(git.spec.url)
    record = _update(git, bare, pull_request, _closed)
    if record.state == "merged":
        raise ConflictError("merged", f"Pull request {record.number} is merged", "Undo it instead.")


def _closed(record: PullRecord) -> PullRecord:
    return replace(record, state="closed") if record.state == "open" else record


def _update(
    git: GitRepository, bare: Bare, pull_request: PullRequest, change: Callable[[PullRecord], PullRecord]
) -> PullRecord:
    """Change the record by compare-and-swap; the new record."""
    for _ in range(_ATTEMPTS):
        old, record = _read_record(bare, pull_request)
        new = change(record)
        if new == record or bare.move_ref(f"{PULLS_PREFIX}{record.number}", bare.write(new.encode()), old):
            return new
    raise _busy(git)


def _read_record(bare: Bare, pull_request: PullRequest) -> tuple[str, PullRecord]:
    oid = bare.ref(f"{PULLS_PREFIX}{pull_request.number}")
    if oid is None:
        raise NotFoundError("no_pull_request", f"{bare.path} has no pull request {pull_request.number}")
    return oid, PullRecord.decode(bare.read(oid))


def _pull_request(bare: Bare, record: PullRecord) -> PullRequest:
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
    return TransientError("remote_busy", f"{git.spec.name} is changing too fast; try again", retry_after_s=5)


async def _do(repository: Repository, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    return await asyncio.to_thread(guarded, repository.spec.name, lambda: work(*args, **kwargs))
