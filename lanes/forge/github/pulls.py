"""Opens, updates, merges and closes pull requests at GitHub; every function looks for its effect before it acts."""

from __future__ import annotations

import re
from typing import Any, Final

from github import GithubException
from github.PullRequest import PullRequest as Pull
from github.Repository import Repository

from core.log import log
from core.model.errors import ConflictError, PermanentError, TransientError
from core.model.task import PullRequest
from core.ports.forge import PullRequestDraft
from lanes.forge.branches import branch_moved
from lanes.forge.github.client import BODY_CHARS
from lanes.forge.github.faults import error_text, explain

_EXISTS: Final = re.compile(r"pull request already exists", re.IGNORECASE)
_TITLE_CHARS: Final = 256
_CUT: Final = "\n\n(cut here at GitHub's limit)"


def open_pull(repo: Repository, proposal: PullRequestDraft) -> PullRequest:
    """Open the pull request, or adopt the branch's existing one; a closed one with our head is returned as it is."""
    pull = _find_existing(repo, proposal)
    if pull is None:
        try:
            pull = repo.create_pull(
                base=proposal.into,
                head=proposal.branch,
                title=proposal.title[:_TITLE_CHARS],
                body=cut_body(proposal.body),
                maintainer_can_modify=False,
            )
        except GithubException as error:
            if error.status != 422 or not _EXISTS.search(error_text(error)):
                raise
            pull = _find_existing(repo, proposal)  # from an earlier request of ours whose answer was lost
            if pull is None:
                raise
    if pull.state == "open":
        _update(pull, proposal)
        _add_labels(pull, proposal.labels)
    return to_pull_request(pull, proposal.branch, proposal.revision, proposal.digest)


def _find_existing(repo: Repository, proposal: PullRequestDraft) -> Pull | None:
    """The pull request of our branch that is open, or that ended with our head; None if there is none."""
    pulls = repo.get_pulls(state="all", head=f"{repo.owner.login}:{proposal.branch}")
    own_pulls = [pull for pull in pulls if _is_from(pull, repo, proposal.branch)]
    for pull in own_pulls:
        if pull.state != "open":
            continue
        if pull.head.sha != proposal.head:
            raise _other_head(repo, pull, proposal)
        return pull
    return next((pull for pull in own_pulls if pull.head.sha == proposal.head), None)


def _is_from(pull: Pull, repo: Repository, branch: str) -> bool:
    """True if it is from our branch, not from one of that name in a fork, whose repository may be deleted."""
    source: Any = pull.head.repo
    return pull.head.ref == branch and source is not None and source.id == repo.id


def _other_head(repo: Repository, pull: Pull, proposal: PullRequestDraft) -> Exception:
    """The error for a pull request with another head: the branch was moved, or GitHub lags behind our push."""
    now = repo.get_git_ref(f"heads/{proposal.branch}").object.sha
    if now == proposal.head:
        return TransientError(
            "github_lags", f"GitHub has not processed the push to #{pull.number} yet", retry_after_s=3
        )
    return branch_moved(proposal.branch, proposal.head, now)


def _update(pull: Pull, proposal: PullRequestDraft) -> None:
    title, body = proposal.title[:_TITLE_CHARS], cut_body(proposal.body)
    if pull.base.ref != proposal.into:
        raise _other_base(pull, proposal.into)
    if (pull.title, (pull.body or "").replace("\r\n", "\n")) != (title, body):
        pull.edit(title=title, body=body)


def _add_labels(pull: Pull, labels: tuple[str, ...]) -> None:
    """Add missing labels; a refused label is logged and does not fail the pull request."""
    present = {label.name for label in pull.labels}
    missing = [label for label in labels if label not in present]
    if not missing:
        return
    try:
        pull.add_to_labels(*missing)
    except GithubException as error:
        problem = explain(error)
        if isinstance(problem, TransientError):
            raise
        log.warning("labels_refused", pull_request=pull.number, problem=problem.problem.message)


def cut_body(body: str) -> str:
    """`body`, cut to `BODY_CHARS` characters with a note if it is longer."""
    return body if len(body) <= BODY_CHARS else body[: BODY_CHARS - len(_CUT)] + _CUT


def merge_pull(
    repo: Repository, pull_request: PullRequest, into: str, message: str, method: str, onto: str | None = None
) -> str:
    """Merge if the head is still ours; the merge commit. Succeeds if it was merged with our head already (F11)."""
    pull = repo.get_pull(pull_request.number)
    if (merge_commit := _find_merge(pull, pull_request)) is not None:
        return merge_commit
    if pull.state != "open":
        raise ConflictError("closed", f"Pull request {pull_request.number} is closed", "Ask for it again.")
    if pull.head.sha != pull_request.head:
        raise branch_moved(pull_request.branch, pull_request.head, pull.head.sha)
    if pull.base.ref != into:
        raise _other_base(pull, into)
    if onto is not None and repo.get_git_ref(f"heads/{into}").object.sha != onto:
        raise TransientError("target_moved", f"{into} of {repo.full_name} moved on", retry_after_s=1)
    title, _, rest = message.strip().partition("\n")
    try:
        merge = pull.merge(commit_message=rest.strip(), commit_title=title, merge_method=method, sha=pull_request.head)
    except GithubException as error:
        if error.status not in (405, 409):
            raise
        raise _merge_error(repo, pull_request, error) from error
    return str(merge.sha)


def _find_merge(pull: Pull, pull_request: PullRequest) -> str | None:
    """The merge commit if it was merged with our head; raises `ConflictError` if with another."""
    if not pull.merged:
        return None
    if pull.head.sha != pull_request.head:
        raise branch_moved(pull_request.branch, pull_request.head, pull.head.sha)
    return str(pull.merge_commit_sha)


def _merge_error(repo: Repository, pull_request: PullRequest, error: GithubException) -> Exception:
    """The error for a refused merge, from the pull request's current state."""
    now = repo.get_pull(pull_request.number)
    reason = error_text(error)
    if now.head.sha != pull_request.head:
        return branch_moved(pull_request.branch, pull_request.head, now.head.sha)
    if "not allowed on this repository" in reason:
        mend = "Choose another `merge` method for this repository."
        return PermanentError("merge_method", f"GitHub: {reason}", mend)
    if now.mergeable is False:
        mend = "Reply to the task to make the change again."
        return ConflictError("merge_conflict", f"Pull request {pull_request.number} no longer merges cleanly", mend)
    return ConflictError("not_mergeable", f"GitHub does not merge pull request {pull_request.number}: {reason}")


def _other_base(pull: Pull, into: str) -> ConflictError:
    message = f"Pull request {pull.number} now has the base {pull.base.ref}, and {into} was approved"
    return ConflictError("base_changed", message, f"Change its base back to {into} at GitHub.")


def close_pull(repo: Repository, pull_request: PullRequest) -> None:
    """Close without merging; raises `ConflictError` when it was merged."""
    pull = repo.get_pull(pull_request.number)
    if pull.merged:
        raise ConflictError("merged", f"Pull request {pull_request.number} is merged", "Undo it instead.")
    if pull.state == "open":
        pull.edit(state="closed")


def state_of(pull: Pull) -> str:
    """The state: open, merged or closed."""
    return "merged" if pull.merged_at is not None else str(pull.state)


def to_pull_request(pull: Pull, branch: str, revision: int, digest: str) -> PullRequest:
    """GitHub's pull request as a `PullRequest` of ours."""
    return PullRequest(
        number=pull.number,
        url=pull.html_url,
        branch=branch,
        head=pull.head.sha,
        state=state_of(pull),
        revision=revision,
        digest=digest,
    )
