"""Routes of what people say at a pull request: comments, line comments, reviews, reactions, labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fakes.github.pulls import BODY_LIMIT, pull_of
from tests.fakes.github.repos import repo_of
from tests.fakes.github.rest import ApiError, Reply, Request, Routes, invalid, paged
from tests.fakes.github.state import Comment, Pull, Reaction, Repo, now

if TYPE_CHECKING:
    from tests.fakes.github.server import FakeGitHub

ROUTES = Routes()
_REACTIONS = ("+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes")


def _issue_of(hub: FakeGitHub, request: Request) -> tuple[Repo, Pull]:
    repo = repo_of(hub, request)
    found = repo.pulls.get(int(request.params["issue_number"]))
    if found is None:
        raise ApiError(404, "Not Found")
    return repo, found


def _comment_of(hub: FakeGitHub, request: Request, *, line: bool) -> tuple[Repo, Comment]:
    repo = repo_of(hub, request)
    found = repo.comments.get(int(request.params["comment_id"]))
    if found is None or (found.path is not None) is not line:
        raise ApiError(404, "Not Found")
    return repo, found


def _words(request: Request, resource: str = "IssueComment") -> str:
    body = str(request.json.get("body", ""))
    if not body.strip():
        raise invalid(resource, field="body", code="missing_field")
    if len(body) > BODY_LIMIT - 1:  # a body of a pull request may have one character more
        raise invalid(resource, "body is too long (maximum is 65536 characters)", field="data", code="unprocessable")
    return body


@ROUTES.at("GET", "/repos/{owner}/{repo}/issues/{issue_number}")
def get_issue(hub: FakeGitHub, request: Request) -> Reply:
    """An issue, or a pull request as one."""
    repo, issue = _issue_of(hub, request)
    return Reply(200, hub.shapes.issue(repo, issue))


@ROUTES.at("GET", "/repos/{owner}/{repo}/issues")
def list_issues(hub: FakeGitHub, request: Request) -> Reply:
    """Issues and pull requests."""
    repo = repo_of(hub, request)
    state, since = request.query.get("state", "open"), request.query.get("since", "")
    found = [p for p in repo.pulls.values() if state in ("all", p.state)]
    shown = [hub.shapes.issue(repo, pull) for pull in sorted(found, key=lambda p: -p.number)]
    return paged(request, [issue for issue in shown if issue["updated_at"] >= since])


@ROUTES.at("GET", "/repos/{owner}/{repo}/issues/{issue_number}/comments")
def list_comments(hub: FakeGitHub, request: Request) -> Reply:
    """What was said, oldest first."""
    repo, issue = _issue_of(hub, request)
    return _comments(hub, request, repo, [c for c in repo.comments.values() if c.number == issue.number])


@ROUTES.at("GET", "/repos/{owner}/{repo}/issues/comments")
def list_all_comments(hub: FakeGitHub, request: Request) -> Reply:
    """What was said anywhere in a repository."""
    repo = repo_of(hub, request)
    return _comments(hub, request, repo, list(repo.comments.values()))


def _comments(hub: FakeGitHub, request: Request, repo: Repo, found: list[Comment]) -> Reply:
    since = request.query.get("since", "")
    shown = [hub.shapes.comment(repo, comment) for comment in found if comment.path is None]
    if request.query.get("sort") == "updated":
        shown.sort(key=lambda comment: str(comment["updated_at"]))
    if request.query.get("direction") == "desc":
        shown.reverse()
    return paged(request, [comment for comment in shown if str(comment["updated_at"]) >= since])


@ROUTES.at("POST", "/repos/{owner}/{repo}/issues/{issue_number}/comments")
def create_comment(hub: FakeGitHub, request: Request) -> Reply:
    """Say something."""
    repo, issue = _issue_of(hub, request)
    made = hub.said(repo, issue.number, request.login, _words(request))
    return Reply(201, hub.shapes.comment(repo, made))


@ROUTES.at("GET", "/repos/{owner}/{repo}/issues/comments/{comment_id}")
def get_comment(hub: FakeGitHub, request: Request) -> Reply:
    """One comment."""
    return Reply(200, hub.shapes.comment(*_comment_of(hub, request, line=False)))


@ROUTES.at("PATCH", "/repos/{owner}/{repo}/issues/comments/{comment_id}")
def edit_comment(hub: FakeGitHub, request: Request) -> Reply:
    """Say it differently."""
    repo, comment = _comment_of(hub, request, line=False)
    _own(hub, request, repo, comment)
    hub.edited(repo, comment, request.login, _words(request))
    return Reply(200, hub.shapes.comment(repo, comment))


@ROUTES.at("DELETE", "/repos/{owner}/{repo}/issues/comments/{comment_id}")
def delete_comment(hub: FakeGitHub, request: Request) -> Reply:
    """Take it back."""
    repo, comment = _comment_of(hub, request, line=False)
    _own(hub, request, repo, comment)
    hub.unsaid(repo, comment, request.login)
    return Reply(204)


def _own(hub: FakeGitHub, request: Request, repo: Repo, comment: Comment) -> None:
    if comment.login.lower() != request.login.lower() and not (request.token and hub.may(request.token, repo, "write")):
        raise ApiError(403, "Must have admin rights to Repository.")


def _reactions(hub: FakeGitHub, request: Request, repo: Repo, to: tuple[str, int]) -> Reply:
    if request.method == "GET":
        return paged(request, [hub.shapes.reaction(r) for r in repo.reactions.values() if r.to == to])
    content = str(request.json.get("content", ""))
    if content not in _REACTIONS:
        raise invalid("Reaction", field="content", code="invalid")
    for given in repo.reactions.values():
        if (given.to, given.login, given.content) == (to, request.login, content):
            return Reply(200, hub.shapes.reaction(given))
    made = Reaction(hub.next_id(), request.login, content, to)
    repo.reactions[made.id] = made
    return Reply(201, hub.shapes.reaction(made))


@ROUTES.at("GET", "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions")
@ROUTES.at("POST", "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions")
def react_to_comment(hub: FakeGitHub, request: Request) -> Reply:
    """Reactions to a comment; the same one twice is one."""
    repo, comment = _comment_of(hub, request, line=False)
    return _reactions(hub, request, repo, ("comments", comment.id))


@ROUTES.at("GET", "/repos/{owner}/{repo}/pulls/comments/{comment_id}/reactions")
@ROUTES.at("POST", "/repos/{owner}/{repo}/pulls/comments/{comment_id}/reactions")
def react_to_line(hub: FakeGitHub, request: Request) -> Reply:
    """Reactions to a comment on a line."""
    repo, comment = _comment_of(hub, request, line=True)
    return _reactions(hub, request, repo, ("pulls", comment.id))


@ROUTES.at("GET", "/repos/{owner}/{repo}/issues/{issue_number}/reactions")
@ROUTES.at("POST", "/repos/{owner}/{repo}/issues/{issue_number}/reactions")
def react_to_issue(hub: FakeGitHub, request: Request) -> Reply:
    """Reactions to the first words of an issue or pull request."""
    repo, issue = _issue_of(hub, request)
    return _reactions(hub, request, repo, ("issues", issue.number))


@ROUTES.at("GET", "/repos/{owner}/{repo}/issues/{issue_number}/labels")
@ROUTES.at("POST", "/repos/{owner}/{repo}/issues/{issue_number}/labels")
@ROUTES.at("PUT", "/repos/{owner}/{repo}/issues/{issue_number}/labels")
def label_issue(hub: FakeGitHub, request: Request) -> Reply:
    """Add labels, or have exactly these; a label that is not there is made."""
    repo, issue = _issue_of(hub, request)
    if request.method != "GET":
        repo_of(hub, request, "triage")
        asked = request.json.get("labels", [])
        names = [label["name"] if isinstance(label, dict) else str(label) for label in asked]
        if any(not name or len(name) > 50 for name in names):
            raise invalid("Label", field="name", code="invalid")
        for name in names:
            repo.labels.setdefault(name, hub.next_id())
        issue.labels = list(dict.fromkeys(names if request.method == "PUT" else [*issue.labels, *names]))
    return paged(request, [hub.shapes.label(repo, name) for name in issue.labels])


@ROUTES.at("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/reviews")
def list_reviews(hub: FakeGitHub, request: Request) -> Reply:
    """The reviews, oldest first."""
    repo, pull = pull_of(hub, request)
    return paged(request, [hub.shapes.review(repo, r) for r in repo.reviews.values() if r.number == pull.number])


@ROUTES.at("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/reviews/{review_id}")
def get_review(hub: FakeGitHub, request: Request) -> Reply:
    """One review."""
    repo, pull = pull_of(hub, request)
    found = repo.reviews.get(int(request.params["review_id"]))
    if found is None or found.number != pull.number:
        raise ApiError(404, "Not Found")
    return Reply(200, hub.shapes.review(repo, found))


@ROUTES.at("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/reviews/{review_id}/comments")
def list_review_comments(hub: FakeGitHub, request: Request) -> Reply:
    """The line comments of one review."""
    repo, pull = pull_of(hub, request)
    wanted = int(request.params["review_id"])
    found = [c for c in repo.comments.values() if c.number == pull.number and c.review == wanted and c.path is not None]
    short = ("line", "original_line", "side", "start_line", "original_start_line", "start_side", "subject_type")
    shown = [{k: v for k, v in hub.shapes.line_comment(repo, c).items() if k not in short} for c in found]
    return paged(request, shown)


@ROUTES.at("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/comments")
def list_line_comments(hub: FakeGitHub, request: Request) -> Reply:
    """Comments on lines."""
    repo, pull = pull_of(hub, request)
    since = request.query.get("since", "")
    found = [c for c in repo.comments.values() if c.number == pull.number and c.path is not None]
    shown = [hub.shapes.line_comment(repo, comment) for comment in found]
    return paged(request, [comment for comment in shown if str(comment["updated_at"]) >= since])


@ROUTES.at("GET", "/repos/{owner}/{repo}/pulls/comments/{comment_id}")
def get_line_comment(hub: FakeGitHub, request: Request) -> Reply:
    """One comment on a line."""
    return Reply(200, hub.shapes.line_comment(*_comment_of(hub, request, line=True)))


@ROUTES.at("POST", "/repos/{owner}/{repo}/pulls/{pull_number}/comments/{comment_id}/replies")
def reply_to_line(hub: FakeGitHub, request: Request) -> Reply:
    """Answer a comment on a line, in its thread."""
    repo, comment = _comment_of(hub, request, line=True)
    words = _words(request, "PullRequestReviewComment")
    top = comment.reply_to or comment.id
    place = (comment.path or "", comment.line or 1)
    made = hub.said_on_line(repo, comment.number, request.login, words, *place, reply_to=top)
    return Reply(201, hub.shapes.line_comment(repo, made))


@ROUTES.at("PATCH", "/repos/{owner}/{repo}/pulls/comments/{comment_id}")
def edit_line_comment(hub: FakeGitHub, request: Request) -> Reply:
    """Say it differently."""
    repo, comment = _comment_of(hub, request, line=True)
    _own(hub, request, repo, comment)
    comment.body, comment.updated_at = _words(request), now()
    return Reply(200, hub.shapes.line_comment(repo, comment))
