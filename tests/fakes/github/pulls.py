"""Routes of pull requests: opened, listed, changed, merged, all of it really done in git."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fakes.github.repos import repo_of
from tests.fakes.github.rest import ApiError, Reply, Request, Routes, invalid, paged
from tests.fakes.github.state import Pull, Repo, now

if TYPE_CHECKING:
    from tests.fakes.github.server import FakeGitHub

ROUTES = Routes()
BODY_LIMIT = 65_536


def pull_of(hub: FakeGitHub, request: Request, role: str = "read") -> tuple[Repo, Pull]:
    """The pull request a request is about."""
    repo = repo_of(hub, request, role)
    found = repo.pulls.get(int(request.params["pull_number"]))
    if found is None or not found.head:
        raise ApiError(404, "Not Found")
    return repo, found


@ROUTES.at("GET", "/repos/{owner}/{repo}/pulls")
def list_pulls(hub: FakeGitHub, request: Request) -> Reply:
    """The pull requests; a ``head`` that is no ``owner:branch`` filters nothing, as at GitHub."""
    repo = repo_of(hub, request)
    state, head, base = (request.query.get(name, "") for name in ("state", "head", "base"))
    found = [pull for pull in repo.pulls.values() if pull.head and (state or "open") in ("all", pull.state)]
    owner, colon, branch = head.partition(":")
    if colon:
        found = [pull for pull in found if pull.head == branch and owner.lower() == repo.owner.lower()]
    if base:
        found = [pull for pull in found if pull.base == base]
    newest = request.query.get("direction", "desc") == "desc"
    by_update = request.query.get("sort") == "updated"
    found.sort(key=lambda pull: (pull.updated_at if by_update else pull.at, pull.number), reverse=newest)
    return paged(request, [hub.shapes.pull(repo, pull) for pull in found])


@ROUTES.at("POST", "/repos/{owner}/{repo}/pulls")
def create_pull(hub: FakeGitHub, request: Request) -> Reply:
    """Open one."""
    repo, asked = repo_of(hub, request), request.json
    git = hub.git(repo)
    head, base = str(asked.get("head", "")).removeprefix(f"{repo.owner}:"), str(asked.get("base", ""))
    head_sha, base_sha = git.ref(f"refs/heads/{head}"), git.ref(f"refs/heads/{base}")
    if base_sha is None:
        raise invalid("PullRequest", field="base", code="invalid")
    if head_sha is None:
        raise invalid("PullRequest", field="head", code="invalid")
    if any(p.head == head and p.base == base and p.state == "open" for p in repo.pulls.values()):
        raise invalid("PullRequest", f"A pull request already exists for {repo.owner}:{head}.")
    if not git.commits(base_sha, head_sha):
        raise invalid("PullRequest", f"No commits between {base} and {head}")
    check_words(asked)
    title, body = str(asked.get("title", "")), asked.get("body")
    if not title:
        raise invalid("PullRequest", field="title", code="missing_field")
    pull = hub.opened(repo, request.login, title, body, head, base, draft=bool(asked.get("draft")))
    return Reply(201, hub.shapes.full_pull(repo, pull), {"Location": f"{hub.shapes.url_of(repo)}/pulls/{pull.number}"})


def check_words(asked: dict[str, object]) -> None:
    """Raise the 422 for a title or body that is too long."""
    if len(str(asked.get("title", ""))) > 256:
        raise invalid("Issue", "title is too long (maximum is 256 characters)", field="title", code="invalid")
    if len(str(asked.get("body") or "")) > BODY_LIMIT:
        raise invalid("Issue", f"body is too long (maximum is {BODY_LIMIT} characters)", field="body")


@ROUTES.at("GET", "/repos/{owner}/{repo}/pulls/{pull_number}")
def get_pull(hub: FakeGitHub, request: Request) -> Reply:
    """One pull request."""
    repo, pull = pull_of(hub, request)
    return Reply(200, hub.shapes.full_pull(repo, pull))


@ROUTES.at("PATCH", "/repos/{owner}/{repo}/pulls/{pull_number}")
def edit_pull(hub: FakeGitHub, request: Request) -> Reply:
    """Change its words, close or reopen it."""
    repo, pull = pull_of(hub, request)
    asked = request.json
    check_words(asked)
    if pull.login.lower() != request.login.lower() and not (request.token and hub.may(request.token, repo, "write")):
        raise ApiError(403, "Resource not accessible by integration")
    pull.title, pull.body = asked.get("title", pull.title), asked.get("body", pull.body)
    state = asked.get("state", pull.state)
    if state != pull.state:
        if pull.merged_at:
            raise invalid(
                "PullRequest", "Cannot change the state of a merged pull request", field="state", code="invalid"
            )
        hub.end(repo, pull, request.login) if state == "closed" else hub.reopen(repo, pull, request.login)
    elif asked.keys() & {"title", "body"}:
        pull.updated_at = now()
        hub.hooks.emit(
            repo, "pull_request", "edited", request.login, number=pull.number, changes={}, **hub.as_hook(repo, pull)
        )
    return Reply(200, hub.shapes.full_pull(repo, pull))


@ROUTES.at("PUT", "/repos/{owner}/{repo}/pulls/{pull_number}/merge")
def merge_pull(hub: FakeGitHub, request: Request) -> Reply:
    """Merge it, by one of three methods, if its head is what the caller thinks."""
    repo, pull = pull_of(hub, request, "write")
    asked = request.json
    method = asked.get("merge_method", "merge")
    if pull.state != "open" or pull.draft:
        raise ApiError(405, "Pull Request is not mergeable")
    if asked.get("sha") not in (None, pull.sha):
        raise ApiError(409, "Head branch was modified. Review and try the merge again.")
    if method not in repo.methods:
        said = {"merge": "Merge commits are", "squash": "Squash merges are", "rebase": "Rebase merges are"}[method]
        raise ApiError(405, f"{said} not allowed on this repository.")
    green = {s.context for s in repo.statuses if s.sha == pull.sha and s.state == "success"}
    green |= {c.name for c in repo.checks.values() if c.sha == pull.sha and c.conclusion == "success"}
    missing = [name for name in repo.required if name not in green]
    if missing:
        raise ApiError(405, f'Required status check "{missing[0]}" is expected.')
    merged = hub.merge_now(repo, pull, request.login, method, asked.get("commit_title"), asked.get("commit_message"))
    if merged is None:
        raise ApiError(405, "Pull Request is not mergeable")
    return Reply(200, {"sha": merged, "merged": True, "message": "Pull Request successfully merged"})


@ROUTES.at("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/merge")
def is_merged(hub: FakeGitHub, request: Request) -> Reply:
    """204 when it was merged."""
    _, pull = pull_of(hub, request)
    if not pull.merged_at:
        raise ApiError(404, "Not Found")
    return Reply(204)


@ROUTES.at("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/files")
def list_files(hub: FakeGitHub, request: Request) -> Reply:
    """What it changes."""
    repo, pull = pull_of(hub, request)
    git = hub.git(repo)
    base = pull.base_sha if pull.merged_at else git.ref(f"refs/heads/{pull.base}") or pull.base_sha
    return paged(request, [hub.file(repo, pull.sha, change) for change in git.changes(base, pull.sha)])


@ROUTES.at("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/commits")
def list_commits(hub: FakeGitHub, request: Request) -> Reply:
    """Its commits, oldest first."""
    repo, pull = pull_of(hub, request)
    git = hub.git(repo)
    base = pull.base_sha if pull.merged_at else git.ref(f"refs/heads/{pull.base}") or pull.base_sha
    return paged(request, [hub.shapes.commit(repo, sha) for sha in git.commits(base, pull.sha)])
