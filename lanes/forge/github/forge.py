"""The GitHub forge: branches by git, pull requests by the API, and reading what other people do to them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from typing import Final

from core.model.errors import ConflictError, PermanentError
from core.model.place import Place
from core.model.task import PullRequest
from core.ports.forge import CommitStatus, PullRequestDraft, PullRequestSnapshot
from core.ports.repository import Repository
from lanes.forge.branches import check_own_branch, push_branch
from lanes.forge.github import commit_status, pulls
from lanes.forge.github.client import GitHubClient
from lanes.repository import as_git

EMPTY_TREE: Final = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_METHODS: Final = frozenset({"merge", "squash", "rebase"})


class GitHubForge:
    """Pull requests at GitHub: implements `core.ports.forge.Forge` and `core.ports.forge.Followed`.

    It keeps no state: every method looks for its effect at GitHub before it acts, so an interrupted call can be
    repeated. The repositories must get their token from the `credentials` of the same client.
    """

    def __init__(self, client: GitHubClient) -> None:
        self.client = client

    async def push(self, repository: Repository, branch: str, commit: str, expected: str | None) -> None:
        """Move `branch` to `commit` if it is at `expected`; raises `ConflictError` when someone else moved it."""
        check_own_branch(branch)
        await self.client.repository(repository.spec)
        await push_branch(as_git(repository), branch, commit, expected)

    async def open(self, repository: Repository, proposal: PullRequestDraft) -> PullRequest:
        """Open the pull request, or adopt and update the one this branch already has."""
        check_own_branch(proposal.branch)
        return await self.client.at(repository.spec, lambda repo: pulls.open_pull(repo, proposal))

    async def poll(self, repository: Repository, pull_request: PullRequest) -> PullRequest:
        """The pull request as it is at GitHub now."""
        ours = pull_request
        return await self.client.at(
            repository.spec,
            lambda repo: pulls.to_pull_request(repo.get_pull(ours.number), ours.branch, ours.revision, ours.digest),
        )

    async def merge(
        self,
        repository: Repository,
        pull_request: PullRequest,
        message: str,
        method: str = "merge",
        onto: str | None = None,
    ) -> str:
        """Merge if the head is still `pull_request.head`; the merge commit's id.

        GitHub takes no commit to merge into: the target branch is looked at just before, and may still move.
        """
        if method not in _METHODS:
            raise PermanentError(
                "merge_method", f"{method[:40]!r} is not a merge method", "Use merge, squash or rebase."
            )
        spec = repository.spec
        return await self.client.at(
            spec, lambda repo: pulls.merge_pull(repo, pull_request, spec.branch, message, method, onto)
        )

    async def close(self, repository: Repository, pull_request: PullRequest) -> None:
        """Close without merging, and delete the branch unless someone else moved it."""
        ref, git = check_own_branch(pull_request.branch), as_git(repository)
        await self.client.at(repository.spec, lambda repo: pulls.close_pull(repo, pull_request))
        try:
            if ref in await git.remote_refs(ref):
                await git.push(ref, "", pull_request.head)
        except PermanentError:
            return  # the repository's rules forbid deleting branches; the pull request is closed nevertheless

    # -- following pull requests ----------------------------------------------------------------------------------

    def place_of(self, repository: Repository, pull_request: PullRequest) -> Place:
        """The conversation of the pull request."""
        return Place("github", str(repository.spec.forge_id), f"pull/{pull_request.number}")

    async def snapshot(self, repository: Repository, pull_request: PullRequest) -> PullRequestSnapshot:
        """The pull request as it is now."""
        return await self.client.at(repository.spec, lambda repo: commit_status.read_snapshot(repo, pull_request))

    async def set_commit_status(self, repository: Repository, status: CommitStatus) -> None:
        """Set the commit status ``countersign``; succeeds if the commit has that status already."""
        await self.client.at(repository.spec, lambda repo: commit_status.set_commit_status(repo, status))

    async def attach(self, repository: Repository, pull_request: PullRequest, files: Mapping[str, bytes]) -> str:
        """Store files in a commit without parents below ``refs/countersign/``; the URL of that commit's tree.

        The commit has the date of the head, so that the same files give the same commit on every host.
        """
        git, spec = as_git(repository), repository.spec
        ref = _files_ref(pull_request)
        url, at = await self.client.at(
            spec, lambda repo: (repo.html_url, repo.get_git_commit(pull_request.head).committer.date)
        )
        tree = await git.write_tree(EMPTY_TREE, files, (), {})
        commit = await git.write_root(tree, f"Files of {pull_request.branch}\n", at.replace(tzinfo=at.tzinfo or UTC))
        for _ in range(3):
            now = (await git.remote_refs(ref)).get(ref)
            if now == commit or await git.push(ref, commit, now):
                return f"{url}/tree/{commit}"
        raise ConflictError("ref_busy", f"{ref} is changing too fast; try again")


def _files_ref(pull_request: PullRequest) -> str:
    """``refs/countersign/<task>.<revision>``, which is not a branch, so that no workflow runs for it."""
    check_own_branch(pull_request.branch)
    match = re.match(r"countersign/(\d+)", pull_request.branch)
    assert match is not None
    return f"refs/countersign/{match.group(1)}.{pull_request.revision}"
