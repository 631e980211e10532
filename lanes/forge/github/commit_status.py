"""Reads a pull request's current state at GitHub (head, checks, statuses, reviews, end); sets our commit status."""

from __future__ import annotations

from typing import Any, Final

from github.CheckRun import CheckRun
from github.CommitStatus import CommitStatus as GitHubStatus
from github.PaginatedList import PaginatedList
from github.PullRequest import PullRequest as Pull
from github.Repository import Repository

from core.model.errors import TransientError
from core.model.task import PullRequest
from core.ports.forge import CommitStatus, ForgeCheck, PullRequestSnapshot
from lanes.forge.github.pulls import state_of, to_pull_request

CONTEXT: Final = "countersign"
"""The name of our own commit status, which does not count as a check of the pull request."""

DESCRIPTION_CHARS: Final = 140
_STATES: Final = {"success": "success", "failure": "failure", "error": "failure", "pending": None}


def read_snapshot(repo: Repository, pull_request: PullRequest) -> PullRequestSnapshot:
    """The current state of the pull request; raises `TransientError` if its head moves during the reading."""
    pull = repo.get_pull(pull_request.number)
    head = pull.head.sha
    checks = (*_check_runs(repo, head), *_statuses(repo, head))
    objections = _objections(pull)
    tree = repo.get_git_commit(head).tree.sha
    merged = pull.merged_at is not None
    if not merged and pull.state == "open" and repo.get_pull(pull_request.number).head.sha != head:
        raise TransientError(
            "head_moving", f"Pull request {pull_request.number} changed while it was read", retry_after_s=2
        )
    return PullRequestSnapshot(
        pull_request=to_pull_request(pull, pull_request.branch, pull_request.revision, pull_request.digest),
        tree=tree,
        checks=checks,
        objections=objections,
        mergeable=pull.mergeable,
        merged_as=pull.merge_commit_sha if merged else None,
        ended_by=_ended_by(repo, pull),
    )


def _check_runs(repo: Repository, head: str) -> list[ForgeCheck]:
    """The newest run of each name and app, by id, since GitHub's filter ``latest`` applies to each suite."""
    newest: dict[tuple[str, int | None], Any] = {}
    url = f"{repo.url}/commits/{head}/check-runs"
    runs = PaginatedList(CheckRun, repo.requester, url, {"filter": "latest"}, list_item="check_runs")
    for run in runs:
        app: Any = run.app  # None once the app is deleted
        key = (run.name, app.id if app else None)
        if key not in newest or run.id > newest[key].id:
            newest[key] = run
    return [
        ForgeCheck(name, app, run.conclusion if run.status == "completed" else None)
        for (name, app), run in newest.items()
    ]


def statuses(repo: Repository, commit: str) -> PaginatedList[GitHubStatus]:
    """Every status ever set on a commit, newest first."""
    return PaginatedList(GitHubStatus, repo.requester, f"{repo.url}/commits/{commit}/statuses", None)


def _statuses(repo: Repository, head: str) -> list[ForgeCheck]:
    newest: dict[str, GitHubStatus] = {}
    for status in statuses(repo, head):
        newest.setdefault(status.context, status)
    return [
        ForgeCheck(name, None, _STATES.get(status.state, "failure"))
        for name, status in newest.items()
        if name != CONTEXT
    ]


def _objections(pull: Pull) -> tuple[str, ...]:
    """The logins whose latest approval or request is a request for changes that was not dismissed."""
    latest: dict[int, tuple[str, str]] = {}
    for review in pull.get_reviews():
        user: Any = review.user  # None once the account is deleted
        if review.state in ("APPROVED", "CHANGES_REQUESTED", "DISMISSED"):
            latest[user.id if user else 0] = (user.login if user else "ghost", review.state)
    return tuple(login for login, state in latest.values() if state == "CHANGES_REQUESTED")


def _ended_by(repo: Repository, pull: Pull) -> str:
    state = state_of(pull)
    if state == "open":
        return ""
    account: Any = pull.merged_by if state == "merged" else repo.get_issue(pull.number).closed_by
    return str(account.login) if account else ""


def set_commit_status(repo: Repository, status: CommitStatus) -> None:
    """Set our status on a commit, unless it has that status already."""
    description = " ".join(status.words.split())[:DESCRIPTION_CHARS]
    for current in statuses(repo, status.commit):
        if current.context == CONTEXT:
            if (current.state, current.description or "") == (status.state, description):
                return
            break
    payload = {"state": status.state, "description": description, "context": CONTEXT}
    repo.requester.requestJsonAndCheck("POST", f"{repo.url}/statuses/{status.commit}", input=payload)
