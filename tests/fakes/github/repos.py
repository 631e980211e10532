"""Routes of repositories, their git objects, their people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fakes.github.rest import ApiError, Reply, Request, Routes, invalid, paged
from tests.fakes.github.state import Repo

if TYPE_CHECKING:
    from tests.fakes.github.server import FakeGitHub

ROUTES = Routes()


def repo_of(hub: FakeGitHub, request: Request, role: str = "read") -> Repo:
    """The repository a request is about; a 404 hides what its bearer may not even read, as GitHub does."""
    repo = hub.repo(f"{request.params['owner']}/{request.params['repo']}")
    if request.token is None or not hub.may(request.token, repo, "read"):
        raise ApiError(404, "Not Found")
    if not hub.may(request.token, repo, role):
        raise ApiError(403, "Resource not accessible by integration")
    return repo


@ROUTES.at("GET", "/repos/{owner}/{repo}")
def get_repo(hub: FakeGitHub, request: Request) -> Reply:
    """A repository."""
    return Reply(200, hub.shapes.full_repo(repo_of(hub, request), request.login))


@ROUTES.at("GET", "/repos/{owner}/{repo}/git/ref/{ref}")
def get_ref(hub: FakeGitHub, request: Request) -> Reply:
    """One reference."""
    repo, name = repo_of(hub, request), f"refs/{request.params['ref']}"
    oid = hub.git(repo).ref(name)
    if oid is None:
        raise ApiError(404, "Not Found")
    url = hub.shapes.url_of(repo)
    target = {"sha": oid, "type": "commit", "url": f"{url}/git/commits/{oid}"}
    return Reply(200, {"ref": name, "node_id": "REF_x", "url": f"{url}/git/{name}", "object": target})


@ROUTES.at("DELETE", "/repos/{owner}/{repo}/git/refs/{ref}")
def delete_ref(hub: FakeGitHub, request: Request) -> Reply:
    """Delete a reference."""
    repo, name = repo_of(hub, request, "write"), f"refs/{request.params['ref']}"
    git = hub.git(repo)
    if git.ref(name) is None or name == f"refs/heads/{repo.default_branch}":
        raise ApiError(422, "Reference does not exist")
    before = git.refs()
    git.move(name, None)
    hub.refs_moved(repo, before, request.login)
    return Reply(204)


@ROUTES.at("GET", "/repos/{owner}/{repo}/git/commits/{commit_sha}")
def get_git_commit(hub: FakeGitHub, request: Request) -> Reply:
    """A commit object."""
    return Reply(200, hub.shapes.git_commit(repo_of(hub, request), request.params["commit_sha"]))


@ROUTES.at("GET", "/repos/{owner}/{repo}/commits/{ref}")
def get_commit(hub: FakeGitHub, request: Request) -> Reply:
    """A commit with its people and files."""
    repo = repo_of(hub, request)
    git, ref = hub.git(repo), request.params["ref"]
    oid = git.ref(f"refs/heads/{ref}") or git.ref(f"{ref}^{{commit}}")
    if oid is None:
        raise invalid("Commit", f"No commit found for SHA: {ref}")
    shown = hub.shapes.commit(repo, oid)
    parent = shown["parents"][0]["sha"] if shown["parents"] else None
    files = [hub.file(repo, oid, change) for change in git.changes(parent, oid)] if parent else []
    stats = {"total": 0, "additions": 0, "deletions": 0}
    return Reply(200, {**shown, "files": files, "stats": stats})


@ROUTES.at("GET", "/repos/{owner}/{repo}/git/trees/{tree_sha}")
def get_tree(hub: FakeGitHub, request: Request) -> Reply:
    """A tree; a commit's or branch's is found too."""
    repo = repo_of(hub, request)
    git, wanted = hub.git(repo), request.params["tree_sha"]
    oid = git.ref(f"refs/heads/{wanted}^{{tree}}") or git.ref(f"{wanted}^{{tree}}")
    if oid is None:
        raise ApiError(404, "Not Found")
    flags = ["-r", "-t"] if request.query.get("recursive") else []
    entries = []
    url = hub.shapes.url_of(repo)
    for record in git.run("ls-tree", "-z", "-l", *flags, oid).split(b"\0"):
        if record:
            meta, _, path = record.partition(b"\t")
            mode, kind, sha, size = meta.decode().split()
            entry = {"path": path.decode("utf-8", "replace"), "mode": mode, "type": kind, "sha": sha}
            kinds = "blobs" if kind == "blob" else "trees"
            entries.append(
                {**entry, **({"size": int(size)} if kind == "blob" else {}), "url": f"{url}/git/{kinds}/{sha}"}
            )
    return Reply(200, {"sha": oid, "url": f"{url}/git/trees/{oid}", "tree": entries, "truncated": False})


@ROUTES.at("GET", "/repos/{owner}/{repo}/collaborators/{username}/permission")
def get_permission(hub: FakeGitHub, request: Request) -> Reply:
    """What someone may do: ``permission`` in the old words (admin, write, read, none), ``role_name`` in the new."""
    repo = repo_of(hub, request)
    found = hub.accounts.get(request.params["username"].lower())
    if found is None:
        raise ApiError(404, "Not Found")
    role = repo.role_of(found.login)
    old = {"admin": "admin", "maintain": "write", "write": "write", "triage": "read", "read": "read", None: "none"}[
        role
    ]
    may = {
        "admin": repo.may(found.login, "admin"),
        "maintain": repo.may(found.login, "maintain"),
        "push": repo.may(found.login, "write"),
        "triage": repo.may(found.login, "triage"),
        "pull": repo.may(found.login, "read"),
    }
    user = {**hub.shapes.account(found), "permissions": may, "role_name": role or "none"}
    return Reply(200, {"permission": old, "role_name": role or "none", "user": user})


@ROUTES.at("GET", "/users/{username}")
def get_user(hub: FakeGitHub, request: Request) -> Reply:
    """Someone by their present login."""
    found = hub.accounts.get(request.params["username"].lower())
    if found is None:
        raise ApiError(404, "Not Found")
    return Reply(200, hub.shapes.full_user(found) | {"user_view_type": "public"})


@ROUTES.at("GET", "/user/{account_id}")
def get_user_by_id(hub: FakeGitHub, request: Request) -> Reply:
    """Someone by the number that never changes."""
    number = request.params["account_id"]
    found = next((who for who in hub.accounts.values() if str(who.id) == number), None)
    if found is None:
        raise ApiError(404, "Not Found")
    return Reply(200, hub.shapes.full_user(found) | {"user_view_type": "public"})


@ROUTES.at("GET", "/user")
def get_me(hub: FakeGitHub, request: Request) -> Reply:
    """Who the token belongs to; an installation's token has no one."""
    assert request.token is not None
    if request.token.installation is not None:
        raise ApiError(403, "Resource not accessible by integration")
    return Reply(200, hub.shapes.full_user(hub.account(request.login)) | {"user_view_type": "public"})


@ROUTES.at("GET", "/rate_limit")
def get_rate_limit(_hub: FakeGitHub, _request: Request) -> Reply:
    """How much may still be asked."""
    rate = {"limit": 5000, "used": 1, "remaining": 4999, "reset": 2_000_000_000}
    return Reply(200, {"resources": {"core": rate, "search": rate}, "rate": rate})


@ROUTES.at("GET", "/repos/{owner}/{repo}/labels")
def get_labels(hub: FakeGitHub, request: Request) -> Reply:
    """The labels that there are."""
    repo = repo_of(hub, request)
    return paged(request, [hub.shapes.label(repo, name) for name in repo.labels])
