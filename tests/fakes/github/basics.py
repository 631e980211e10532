"""Accounts, repositories, labels in GitHub's JSON; facts come from `state` and git, the rest is what is usual."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.fakes.github.server import FakeGitHub
    from tests.fakes.github.state import Account, Repo

_USER_URLS = {
    "followers_url": "/followers",
    "following_url": "/following{/other_user}",
    "gists_url": "/gists{/gist_id}",
    "starred_url": "/starred{/owner}{/repo}",
    "subscriptions_url": "/subscriptions",
    "organizations_url": "/orgs",
    "repos_url": "/repos",
    "events_url": "/events{/privacy}",
    "received_events_url": "/received_events",
}
_REPO_URLS = {
    "archive_url": "/{archive_format}{/ref}",
    "assignees_url": "/assignees{/user}",
    "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}",
    "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}",
    "commits_url": "/commits{/sha}",
    "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}",
    "contributors_url": "/contributors",
    "deployments_url": "/deployments",
    "downloads_url": "/downloads",
    "events_url": "/events",
    "forks_url": "/forks",
    "git_commits_url": "/git/commits{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "hooks_url": "/hooks",
    "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}",
    "issues_url": "/issues{/number}",
    "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}",
    "languages_url": "/languages",
    "merges_url": "/merges",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}",
    "releases_url": "/releases{/id}",
    "stargazers_url": "/stargazers",
    "statuses_url": "/statuses/{sha}",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "tags_url": "/tags",
    "teams_url": "/teams",
    "trees_url": "/git/trees{/sha}",
}


def when(at: datetime | None) -> str | None:
    """A moment as GitHub writes it."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def node(kind: str, number: int) -> str:
    """A node id: opaque, and the same for the same thing."""
    return f"{kind}_" + base64.urlsafe_b64encode(f"{kind}{number}".encode()).decode().rstrip("=")


class Basics:
    """Accounts, repositories and labels of one fake, as JSON."""

    def __init__(self, hub: FakeGitHub) -> None:
        self.hub = hub

    def user(self, login: str) -> dict[str, Any]:
        """A simple user; someone who was deleted is ``ghost``."""
        return self.account(self.hub.account(login))

    def account(self, who: Account) -> dict[str, Any]:
        """A simple user."""
        url = f"{self.hub.url}/users/{who.login}"
        return {
            "login": who.login,
            "id": who.id,
            "node_id": node("U", who.id),
            "avatar_url": f"{self.hub.web}/avatars/u/{who.id}?v=4",
            "gravatar_id": "",
            "url": url,
            "html_url": f"{self.hub.web}/{who.login}",
            **{name: url + rest for name, rest in _USER_URLS.items()},
            "type": who.type,
            "site_admin": False,
        }

    def full_user(self, who: Account) -> dict[str, Any]:
        """A user as /users/{username} shows them."""
        nothing: dict[str, Any] = dict.fromkeys(("name", "company", "location", "email", "hireable", "bio"))
        counts = dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0)
        times = dict.fromkeys(("created_at", "updated_at"), "2020-01-01T00:00:00Z")
        return {**self.account(who), **nothing, "blog": "", **counts, **times}

    def url_of(self, repo: Repo) -> str:
        """A repository's address in the interface."""
        return f"{self.hub.url}/repos/{repo.full_name}"

    def minimal(self, repo: Repo) -> dict[str, Any]:
        """A repository as it stands inside other things."""
        url, web = self.url_of(repo), f"{self.hub.web}/{repo.full_name}"
        return {
            "id": repo.id,
            "node_id": node("R", repo.id),
            "name": repo.name,
            "full_name": repo.full_name,
            "private": repo.private,
            "owner": self.user(repo.owner),
            "html_url": web,
            "description": None,
            "fork": False,
            "url": url,
            **{name: url + rest for name, rest in _REPO_URLS.items()},
        }

    def repo(self, repo: Repo) -> dict[str, Any]:
        """A repository as a webhook and a pull request's head have it."""
        web = f"{self.hub.web}/{repo.full_name}"
        host = web.partition("://")[2]
        counts = ("forks", "forks_count", "stargazers_count", "watchers", "watchers_count", "size")
        opened = sum(pull.state == "open" for pull in repo.pulls.values())
        return {
            **self.minimal(repo),
            "created_at": when(repo.at),
            "updated_at": when(repo.at),
            "pushed_at": when(repo.at),
            "git_url": f"git://{host}.git",
            "ssh_url": f"git@{host.replace('/', ':', 1)}.git",
            "clone_url": f"{web}.git",
            "svn_url": web,
            "homepage": None,
            "language": None,
            **dict.fromkeys(counts, 0),
            **dict.fromkeys(("has_issues", "has_projects", "has_wiki", "has_downloads"), True),
            **dict.fromkeys(("has_pages", "has_discussions", "archived", "disabled"), False),
            "mirror_url": None,
            "open_issues": opened,
            "open_issues_count": opened,
            "license": None,
            "allow_forking": True,
            "is_template": False,
            "web_commit_signoff_required": False,
            "topics": [],
            "custom_properties": {},
            "visibility": "private" if repo.private else "public",
            "default_branch": repo.default_branch,
        }

    def pushed_repo(self, repo: Repo) -> dict[str, Any]:
        """A repository in the webhook of a push, which alone tells times as numbers."""
        owner = {**self.user(repo.owner), "name": repo.owner, "email": None}
        at = int(repo.at.timestamp())
        more = {"created_at": at, "pushed_at": at, "stargazers": 0, "master_branch": repo.default_branch}
        return {**self.repo(repo), **more, "owner": owner}

    def full_repo(self, repo: Repo, login: str) -> dict[str, Any]:
        """A repository as it is asked for by name, with what `login` may do in it."""
        may = {
            "admin": repo.may(login, "admin"),
            "maintain": repo.may(login, "maintain"),
            "push": repo.may(login, "write"),
            "triage": repo.may(login, "triage"),
            "pull": repo.may(login, "read"),
        }
        allowed = {
            "allow_merge_commit": "merge" in repo.methods,
            "allow_squash_merge": "squash" in repo.methods,
            "allow_rebase_merge": "rebase" in repo.methods,
        }
        return {**self.repo(repo), "permissions": may, **allowed, "network_count": 0, "subscribers_count": 0}

    def label(self, repo: Repo, name: str) -> dict[str, Any]:
        """A label."""
        number = repo.labels[name]
        return {
            "id": number,
            "node_id": node("LA", number),
            "url": f"{self.url_of(repo)}/labels/{name}",
            "name": name,
            "description": "",
            "color": "ededed",
            "default": False,
        }
