"""A forge in memory: branches and pull requests, with the same looking before leaping as a real one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from core.model.errors import ConflictError, CountersignError, NotFoundError, PermanentError, TransientError
from core.model.place import Place
from core.model.task import PullRequest
from core.ports.forge import CommitStatus, ForgeCheck, PullRequestDraft, PullRequestSnapshot
from core.ports.repository import Commit
from lanes.forge.branches import check_own_branch
from lanes.forge.local import METHODS
from tests.fakes.repository import MemoryRepository


@dataclass(slots=True)
class MemoryForge:
    """Where pull requests live. `faults` are raised by the next calls, one each, `deaf` after their effect.

    With `follows` others act there too: a test sets `checks`, `objections` and `mergeable`, moves branches, merges and
    closes by hand.
    """

    branches: dict[str, str] = field(default_factory=dict)
    pulls: dict[str, PullRequest] = field(default_factory=dict)
    faults: list[CountersignError] = field(default_factory=list)
    deaf: list[CountersignError] = field(default_factory=list)
    pushes: int = 0
    follows: bool = False
    checks: list[ForgeCheck] = field(default_factory=list)
    objections: tuple[str, ...] = ()
    mergeable: bool | None = True
    marks: dict[str, CommitStatus] = field(default_factory=dict)
    attached: dict[int, dict[str, bytes]] = field(default_factory=dict)
    methods: list[str] = field(default_factory=list)
    looks: int = 0
    overtaken: list[Callable[[], object]] = field(default_factory=list)
    """What others do just before the next merges."""

    async def push(self, repository: MemoryRepository, branch: str, commit: str, expected: str | None) -> None:
        self._fail()
        check_own_branch(branch)
        found = self.branches.get(branch)
        if found != commit:
            if found != expected:
                raise ConflictError("branch_moved", f"somebody moved {branch}")
            assert commit in repository.commits
            self.branches[branch] = commit
            self.pushes += 1
        self._lose()

    async def open(self, _repository: MemoryRepository, proposal: PullRequestDraft) -> PullRequest:
        self._fail()
        check_own_branch(proposal.branch)
        assert self.branches[proposal.branch] == proposal.head
        found = self.pulls.get(proposal.branch)
        opened = PullRequest(
            number=found.number if found else len(self.pulls) + 1,
            url=f"memory://{proposal.branch}",
            branch=proposal.branch,
            head=proposal.head,
            state=found.state if found else "open",
            revision=proposal.revision,
            digest=proposal.digest,
        )
        self.pulls[proposal.branch] = opened
        self._lose()
        return opened

    async def poll(self, _repository: MemoryRepository, pull_request: PullRequest) -> PullRequest:
        self._fail()
        found = self._pull(pull_request)
        return replace(found, head=self.branches.get(pull_request.branch, found.head))

    async def merge(
        self,
        repository: MemoryRepository,
        pull_request: PullRequest,
        message: str,
        method: str = "merge",
        onto: str | None = None,
    ) -> str:
        self._fail()
        if method not in METHODS:
            raise PermanentError("merge_method", f"{method} is not a way to merge")
        found = self._pull(pull_request)
        head = self.branches.get(pull_request.branch)
        if found.state == "closed" or head != pull_request.head:
            raise ConflictError("head_moved", f"{pull_request.branch} is not as it was")
        if found.state == "open":
            if self.overtaken:
                self.overtaken.pop(0)()
            if onto not in (None, repository.main):
                raise TransientError("target_moved", "main moved on", retry_after_s=0.01)
            self.methods.append(method)
            pushed = repository.commits[head]
            tree = await repository.merged_tree(repository.main, head)
            repository.main = repository.commit(Commit(tree, repository.main, message, pushed.at))
            self.pulls[pull_request.branch] = replace(found, state="merged")
        self._lose()
        return repository.main

    async def close(self, _repository: MemoryRepository, pull_request: PullRequest) -> None:
        self._fail()
        found = self._pull(pull_request)
        if found.state == "merged":
            raise ConflictError("merged", f"pull request {found.number} is merged")
        self.pulls[pull_request.branch] = replace(found, state="closed")
        if self.branches.get(pull_request.branch) == pull_request.head:
            del self.branches[pull_request.branch]
        self._lose()

    def place_of(self, _repository: MemoryRepository, pull_request: PullRequest) -> Place:
        return Place("github", "7", f"pull/{pull_request.number}")

    async def snapshot(self, repository: MemoryRepository, pull_request: PullRequest) -> PullRequestSnapshot:
        self._fail()
        self.looks += 1
        found, head = self.pulls[pull_request.branch], self.branches[pull_request.branch]
        return PullRequestSnapshot(
            pull_request=replace(found, head=head),
            tree=repository.commits[head].tree,
            checks=tuple(self.checks),
            objections=self.objections,
            mergeable=self.mergeable,
            merged_as=repository.main if found.state == "merged" else None,
            ended_by="" if found.state == "open" else "max",
        )

    async def set_commit_status(self, _repository: MemoryRepository, mark: CommitStatus) -> None:
        self._fail()
        self.marks[mark.commit] = mark

    async def attach(self, _repository: MemoryRepository, pull_request: PullRequest, files: Mapping[str, bytes]) -> str:
        self._fail()
        self.attached[pull_request.number] = dict(files)
        return f"memory://files/{pull_request.number}"

    async def end_by_hand(self, repository: MemoryRepository, branch: str, state: str) -> None:
        """Someone merges or closes it at the forge."""
        if state == "merged":
            pushed = repository.commits[self.branches[branch]]
            tree = await repository.merged_tree(repository.main, self.branches[branch])
            repository.main = repository.commit(Commit(tree, repository.main, "by hand", pushed.at))
        self.pulls[branch] = replace(self.pulls[branch], state=state)

    def _pull(self, pull_request: PullRequest) -> PullRequest:
        if pull_request.branch not in self.pulls:
            raise NotFoundError("no_pull_request", f"there is no pull request of {pull_request.branch}")
        return self.pulls[pull_request.branch]

    def _fail(self) -> None:
        if self.faults:
            raise self.faults.pop(0)

    def _lose(self) -> None:
        if self.deaf:
            raise self.deaf.pop(0)
