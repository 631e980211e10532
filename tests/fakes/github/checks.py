"""Routes of commit statuses, check runs and check suites."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fakes.github.repos import repo_of
from tests.fakes.github.rest import ApiError, Reply, Request, Routes, invalid, paged
from tests.fakes.github.state import Repo

if TYPE_CHECKING:
    from tests.fakes.github.server import FakeGitHub

ROUTES = Routes()


def _sha(hub: FakeGitHub, request: Request, repo: Repo) -> str:
    git, ref = hub.git(repo), request.params.get("ref") or request.params["sha"]
    oid = git.ref(f"refs/heads/{ref}") or git.ref(f"{ref}^{{commit}}")
    if oid is None or not git.has(oid):
        raise invalid("Commit", f"No commit found for SHA: {ref}")
    return oid


@ROUTES.at("POST", "/repos/{owner}/{repo}/statuses/{sha}")
def create_status(hub: FakeGitHub, request: Request) -> Reply:
    """Set a status on a commit."""
    repo, asked = repo_of(hub, request, "write"), request.json
    if asked.get("state") not in ("error", "failure", "pending", "success"):
        raise invalid("Status", field="state", code="custom", message="state is not included in the list")
    said = asked.get("description")
    if said and len(said) > 140:
        raise invalid("Status", "description is too long (maximum is 140 characters)", field="description")
    context, target = asked.get("context", "default"), asked.get("target_url")
    made = hub.status(repo.full_name, _sha(hub, request, repo), context, asked["state"], request.login, said, target)
    return Reply(201, hub.shapes.status(repo, made))


@ROUTES.at("GET", "/repos/{owner}/{repo}/commits/{ref}/statuses")
def list_statuses(hub: FakeGitHub, request: Request) -> Reply:
    """Every status ever set on a commit, newest first."""
    repo = repo_of(hub, request)
    sha = _sha(hub, request, repo)
    return paged(request, [hub.shapes.status(repo, s) for s in reversed(repo.statuses) if s.sha == sha])


@ROUTES.at("GET", "/repos/{owner}/{repo}/commits/{ref}/status")
def combined_status(hub: FakeGitHub, request: Request) -> Reply:
    """The newest status of each context, and what they say together."""
    repo = repo_of(hub, request)
    sha = _sha(hub, request, repo)
    newest = {status.context: status for status in repo.statuses if status.sha == sha}
    states = {status.state for status in newest.values()}
    together = "failure" if states & {"failure", "error"} else "success" if states == {"success"} else "pending"
    url = hub.shapes.url_of(repo)

    def wrap(part: list[object]) -> dict[str, object]:
        return {
            "state": together,
            "statuses": part,
            "sha": sha,
            "total_count": len(newest),
            "repository": hub.shapes.minimal(repo),
            "commit_url": f"{url}/commits/{sha}",
            "url": f"{url}/commits/{sha}/status",
        }

    return paged(request, [hub.shapes.status(repo, s, full=False) for s in newest.values()], wrap)


@ROUTES.at("GET", "/repos/{owner}/{repo}/commits/{ref}/check-runs")
def list_check_runs(hub: FakeGitHub, request: Request) -> Reply:
    """The check runs of a commit: of each app the newest of each name, or all with ``filter=all``."""
    repo = repo_of(hub, request)
    sha = _sha(hub, request, repo)
    found = [check for check in repo.checks.values() if check.sha == sha]
    if request.query.get("filter", "latest") == "latest":
        found = list({(check.app_id, check.name): check for check in found}.values())
    if name := request.query.get("check_name"):
        found = [check for check in found if check.name == name]
    shown = [hub.shapes.check(repo, check) for check in found]
    return paged(request, shown, lambda part: {"total_count": len(shown), "check_runs": part})


@ROUTES.at("GET", "/repos/{owner}/{repo}/commits/{ref}/check-suites")
def list_check_suites(hub: FakeGitHub, request: Request) -> Reply:
    """The check suites of a commit: one an app."""
    repo = repo_of(hub, request)
    sha = _sha(hub, request, repo)
    shown = [hub.shapes.suite(repo, at, app, full=True) for at, app in repo.suites if at == sha]
    return paged(request, shown, lambda part: {"total_count": len(shown), "check_suites": part})


@ROUTES.at("GET", "/repos/{owner}/{repo}/check-runs/{check_run_id}")
def get_check_run(hub: FakeGitHub, request: Request) -> Reply:
    """One check run."""
    repo = repo_of(hub, request)
    found = repo.checks.get(int(request.params["check_run_id"]))
    if found is None:
        raise ApiError(404, "Not Found")
    return Reply(200, hub.shapes.check(repo, found))
