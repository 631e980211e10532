"""Pull requests at GitHub, as steps that run in one thread: each looks for its own earlier success before it acts."""

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
from lanes.forge.branches import moved
from lanes.forge.github.client import BODY_CHARS
from lanes.forge.github.faults import explain, words

_EXISTS: Final = re.compile(r"pull request already exists", re.IGNORECASE)
_TITLE_CHARS: Final = 256
_CUT: Final = "\n\n(cut here: GitHub takes no more)"


def open_pull(repo: Repository, proposal: PullRequestDraft) -> PullRequest:
    """Open the pull request, or adopt the one that this branch has: never a second one, never a closed one again."""
    found = _own(repo, proposal)
    if found is None:
        try:
            found = repo.create_pull(
                base=proposal.into,
                head=proposal.branch,
                title=proposal.title[:_TITLE_CHARS],
                body=fitting(proposal.body),
                maintainer_can_modify=False,
            )
        except GithubException as error:
            if error.status != 422 or not _EXISTS.search(words(error)):
                raise
            found = _own(repo, proposal)  # somebody was quicker: an earlier request of ours, whose answer was lost
            if found is None:
                raise
    if found.state == "open":
        _renew(found, proposal)
        _label(found, proposal.labels)
    return shown(found, proposal.branch, proposal.revision, proposal.digest)


def _own(repo: Repository, proposal: PullRequestDraft) -> Pull | None:
    """The pull request of our branch that is open, or that ended with exactly our head."""
    listed = repo.get_pulls(state="all", head=f"{repo.owner.login}:{proposal.branch}")
    ours = [pull for pull in listed if _is_from(pull, repo, proposal.branch)]
    for pull in ours:
        if pull.state != "open":
            continue
        if pull.head.sha != proposal.head:
            raise _other_head(repo, pull, proposal)
        return pull
    return next((pull for pull in ours if pull.head.sha == proposal.head), None)


def _is_from(pull: Pull, repo: Repository, branch: str) -> bool:
    """Whether it is from our own branch, not from one of that name in a fork (whose repository may be gone)."""
    source: Any = pull.head.repo
    return pull.head.ref == branch and source is not None and source.id == repo.id


def _other_head(repo: Repository, pull: Pull, proposal: PullRequestDraft) -> Exception:
    """The branch is elsewhere, or GitHub has not noticed our push yet; the branch itself tells which."""
    now = repo.get_git_ref(f"heads/{proposal.branch}").object.sha
    if now == proposal.head:
        return TransientError("github_lags", f"GitHub has not noticed the push to #{pull.number}", retry_after_s=3)
    return moved(proposal.branch, proposal.head, now)


def _renew(pull: Pull, proposal: PullRequestDraft) -> None:
    title, body = proposal.title[:_TITLE_CHARS], fitting(proposal.body)
    if pull.base.ref != proposal.into:
        raise _other_base(pull, proposal.into)
    if (pull.title, (pull.body or "").replace("\r\n", "\n")) != (title, body):
        pull.edit(title=title, body=body)


def _label(pull: Pull, labels: tuple[str, ...]) -> None:
    """Add what is missing; a label is an ornament, and no reason to lose a pull request."""
    have = {label.name for label in pull.labels}
    missing = [label for label in labels if label not in have]
    if not missing:
        return
    try:
        pull.add_to_labels(*missing)
    except GithubException as error:
        problem = explain(error)
        if isinstance(problem, TransientError):
            raise
        log.warning("labels_refused", pull_request=pull.number, problem=problem.problem.message)


def fitting(body: str) -> str:
    """`body` as long as GitHub takes it, cut with a word about it."""
    return body if len(body) <= BODY_CHARS else body[: BODY_CHARS - len(_CUT)] + _CUT


def merge_pull(repo: Repository, ours: PullRequest, into: str, message: str, method: str) -> str:
    """Merge if its head still is ours; the merge commit. Merged already with our head is success (F11)."""
    pull = repo.get_pull(ours.number)
    if (done := _merged_as(pull, ours)) is not None:
        return done
    if pull.state != "open":
        raise ConflictError("closed", f"pull request {ours.number} is closed", "Ask for it again.")
    if pull.head.sha != ours.head:
        raise moved(ours.branch, ours.head, pull.head.sha)
    if pull.base.ref != into:
        raise _other_base(pull, into)
    title, _, rest = message.strip().partition("\n")
    try:
        made = pull.merge(commit_message=rest.strip(), commit_title=title, merge_method=method, sha=ours.head)
    except GithubException as error:
        if error.status not in (405, 409):
            raise
        raise _not_merged(repo, ours, error) from error
    return str(made.sha)


def _merged_as(pull: Pull, ours: PullRequest) -> str | None:
    """The merge commit when it was merged with our head; raises `ConflictError` when with another."""
    if not pull.merged:
        return None
    if pull.head.sha != ours.head:
        raise moved(ours.branch, ours.head, pull.head.sha)
    return str(pull.merge_commit_sha)


def _not_merged(repo: Repository, ours: PullRequest, error: GithubException) -> Exception:
    """Why GitHub would not merge, in the words of what it is now."""
    now = repo.get_pull(ours.number)
    said = words(error)
    if now.head.sha != ours.head:
        return moved(ours.branch, ours.head, now.head.sha)
    if "not allowed on this repository" in said:
        mend = "Choose another `merge` method for this repository."
        return PermanentError("merge_method", f"GitHub: {said}", mend)
    if now.mergeable is False:
        mend = "Reply to it to make it anew."
        return ConflictError("merge_conflict", f"pull request {ours.number} does not merge cleanly any more", mend)
    return ConflictError("not_mergeable", f"GitHub does not merge pull request {ours.number}: {said}")


def _other_base(pull: Pull, into: str) -> ConflictError:
    said = f"pull request {pull.number} now goes into {pull.base.ref}, and {into} was approved"
    return ConflictError("base_changed", said, f"Point it back to {into} at GitHub.")


def close_pull(repo: Repository, ours: PullRequest) -> None:
    """Close without merging; raises `ConflictError` when it was merged."""
    pull = repo.get_pull(ours.number)
    if pull.merged:
        raise ConflictError("merged", f"pull request {ours.number} is merged", "Undo it instead.")
    if pull.state == "open":
        pull.edit(state="closed")


def state_of(pull: Pull) -> str:
    """open, merged or closed."""
    return "merged" if pull.merged_at is not None else str(pull.state)


def shown(pull: Pull, branch: str, revision: int, digest: str) -> PullRequest:
    """The pull request as the heart knows it."""
    return PullRequest(
        number=pull.number,
        url=pull.html_url,
        branch=branch,
        head=pull.head.sha,
        state=state_of(pull),
        revision=revision,
        digest=digest,
    )
