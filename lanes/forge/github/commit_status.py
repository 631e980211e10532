"""How a pull request stands at GitHub, read afresh: its head and tree, checks by app, statuses, objections, its end."""

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
from lanes.forge.github.pulls import shown, state_of

CONTEXT: Final = "countersign"
"""The name of our own commit status; it is no check of the pull request, for it says what we ourselves think."""

WORDS_CHARS: Final = 140
_STATES: Final = {"success": "success", "failure": "failure", "error": "failure", "pending": None}


def stand(repo: Repository, ours: PullRequest) -> PullRequestSnapshot:
    """Everything about its head as it is now; raises `TransientError` if it moved while we read."""
    pull = repo.get_pull(ours.number)
    head = pull.head.sha
    checks = (*_check_runs(repo, head), *_statuses(repo, head))
    objections = _objections(pull)
    tree = repo.get_git_commit(head).tree.sha
    merged = pull.merged_at is not None
    if not merged and pull.state == "open" and repo.get_pull(ours.number).head.sha != head:
        raise TransientError("head_moving", f"pull request {ours.number} moved while it was read", retry_after_s=2)
    return PullRequestSnapshot(
        pull_request=shown(pull, ours.branch, ours.revision, ours.digest),
        tree=tree,
        checks=checks,
        objections=objections,
        mergeable=pull.mergeable,
        merged_as=pull.merge_commit_sha if merged else None,
        ended_by=_ended_by(repo, pull),
    )


def _check_runs(repo: Repository, head: str) -> list[ForgeCheck]:
    """The newest run of each name and app: GitHub's own filter ``latest`` is by suite, so the highest id decides."""
    newest: dict[tuple[str, int | None], Any] = {}
    url = f"{repo.url}/commits/{head}/check-runs"
    runs = PaginatedList(CheckRun, repo.requester, url, {"filter": "latest"}, list_item="check_runs")
    for run in runs:
        app: Any = run.app  # None once the app is gone
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
    """Who asked for changes and has neither approved nor been dismissed since; a mere comment changes no mind."""
    minds: dict[int, tuple[str, str]] = {}
    for review in pull.get_reviews():
        user: Any = review.user  # None once the account is gone
        if review.state in ("APPROVED", "CHANGES_REQUESTED", "DISMISSED"):
            minds[user.id if user else 0] = (user.login if user else "ghost", review.state)
    return tuple(login for login, state in minds.values() if state == "CHANGES_REQUESTED")


def _ended_by(repo: Repository, pull: Pull) -> str:
    state = state_of(pull)
    if state == "open":
        return ""
    who: Any = pull.merged_by if state == "merged" else repo.get_issue(pull.number).closed_by
    return str(who.login) if who else ""


def mark(repo: Repository, wanted: CommitStatus) -> None:
    """Set our status on a commit unless it is so already."""
    said = " ".join(wanted.words.split())[:WORDS_CHARS]
    for status in statuses(repo, wanted.commit):
        if status.context == CONTEXT:
            if (status.state, status.description or "") == (wanted.state, said):
                return
            break
    asked = {"state": wanted.state, "description": said, "context": CONTEXT}
    repo.requester.requestJsonAndCheck("POST", f"{repo.url}/statuses/{wanted.commit}", input=asked)
