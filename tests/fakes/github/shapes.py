"""What GitHub's objects look like in JSON; the facts come from `state` and from git, the rest is what is usual."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tests.fakes.github.rest import ApiError

if TYPE_CHECKING:
    from tests.fakes.github.server import FakeGitHub
    from tests.fakes.github.state import Account, App, Check, Comment, Pull, Reaction, Repo, Review, Status

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
_UNVERIFIED = {"verified": False, "reason": "unsigned", "signature": None, "payload": None, "verified_at": None}


def when(at: datetime | None) -> str | None:
    """A moment as GitHub writes it."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def node(kind: str, number: int) -> str:
    """A node id: opaque, and the same for the same thing."""
    return f"{kind}_" + base64.urlsafe_b64encode(f"{kind}{number}".encode()).decode().rstrip("=")


class Shapes:
    """Makes the JSON of one fake's things."""

    def __init__(self, hub: FakeGitHub) -> None:
        self.hub = hub

    def user(self, login: str) -> dict[str, Any]:
        """A simple user; somebody who was deleted is ``ghost``."""
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
            "visibility": "private" if repo.private else "public",
            "default_branch": repo.default_branch,
        }

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

    def _association(self, repo: Repo, login: str) -> str:
        if login.lower() == repo.owner.lower():
            return "OWNER"
        return "COLLABORATOR" if repo.roles.get(login) else "NONE"

    def pull(self, repo: Repo, pull: Pull) -> dict[str, Any]:
        """A pull request as lists show it."""
        url, web = f"{self.url_of(repo)}/pulls/{pull.number}", f"{self.hub.web}/{repo.full_name}/pull/{pull.number}"
        issue = f"{self.url_of(repo)}/issues/{pull.number}"
        statuses = f"{self.url_of(repo)}/statuses/{pull.sha}"
        links = {
            "self": url,
            "html": web,
            "issue": issue,
            "comments": f"{issue}/comments",
            "review_comments": f"{url}/comments",
            "review_comment": f"{self.url_of(repo)}/pulls/comments{{/number}}",
            "commits": f"{url}/commits",
            "statuses": statuses,
        }
        return {
            "url": url,
            "id": pull.id,
            "node_id": node("PR", pull.id),
            "html_url": web,
            "diff_url": f"{web}.diff",
            "patch_url": f"{web}.patch",
            "issue_url": issue,
            "number": pull.number,
            "state": pull.state,
            "locked": False,
            "title": pull.title,
            "user": self.user(pull.login),
            "body": pull.body,
            "created_at": when(pull.at),
            "updated_at": when(pull.updated_at),
            "closed_at": when(pull.closed_at),
            "merged_at": when(pull.merged_at),
            "merge_commit_sha": pull.merge_sha,
            "assignee": None,
            "assignees": [],
            "requested_reviewers": [],
            "requested_teams": [],
            "labels": [self.label(repo, name) for name in pull.labels],
            "milestone": None,
            "draft": pull.draft,
            "commits_url": f"{url}/commits",
            "review_comments_url": f"{url}/comments",
            "review_comment_url": f"{self.url_of(repo)}/pulls/comments{{/number}}",
            "comments_url": f"{issue}/comments",
            "statuses_url": statuses,
            "head": self._end(repo, pull.head, pull.sha),
            "base": self._end(repo, pull.base, pull.base_sha),
            "_links": {name: {"href": link} for name, link in links.items()},
            "author_association": self._association(repo, pull.login),
            "auto_merge": None,
            "active_lock_reason": None,
        }

    def _end(self, repo: Repo, ref: str, sha: str) -> dict[str, Any]:
        owner = self.user(repo.owner)
        return {"label": f"{repo.owner}:{ref}", "ref": ref, "sha": sha, "user": owner, "repo": self.repo(repo)}

    def full_pull(self, repo: Repo, pull: Pull, *, asks: bool = True) -> dict[str, Any]:
        """A pull request asked for alone; `asks` is false for a webhook, which never knows whether it merges."""
        git = self.hub.git(repo)
        base = pull.base_sha if pull.merged_at else git.ref(f"refs/heads/{pull.base}") or pull.base_sha
        files = git.changes(base, pull.sha)
        mergeable = self.hub.mergeable(repo, pull) if asks else None
        state = "unknown" if mergeable is None else "clean" if mergeable else "dirty"
        about = [comment for comment in repo.comments.values() if comment.number == pull.number]
        return {
            **self.pull(repo, pull),
            "merged": pull.merged_at is not None,
            "mergeable": mergeable,
            "rebaseable": mergeable,
            "mergeable_state": state,
            "merged_by": self.user(pull.merged_by) if pull.merged_by else None,
            "comments": sum(comment.path is None for comment in about),
            "review_comments": sum(comment.path is not None for comment in about),
            "maintainer_can_modify": False,
            "commits": len(git.commits(base, pull.sha)),
            "additions": sum(int(str(file["additions"])) for file in files),
            "deletions": sum(int(str(file["deletions"])) for file in files),
            "changed_files": len(files),
        }

    def issue(self, repo: Repo, pull: Pull) -> dict[str, Any]:
        """A pull request as the issue that it also is."""
        url = f"{self.url_of(repo)}/issues/{pull.number}"
        kind = "pull" if pull.head else "issues"
        web = f"{self.hub.web}/{repo.full_name}/{kind}/{pull.number}"
        shown: dict[str, Any] = {
            "url": url,
            "repository_url": self.url_of(repo),
            "labels_url": f"{url}/labels{{/name}}",
            "comments_url": f"{url}/comments",
            "events_url": f"{url}/events",
            "html_url": web,
            "id": pull.id + 500_000,
            "node_id": node("I", pull.id),
            "number": pull.number,
            "title": pull.title,
            "user": self.user(pull.login),
            "labels": [self.label(repo, name) for name in pull.labels],
            "state": pull.state,
            "locked": False,
            "assignee": None,
            "assignees": [],
            "milestone": None,
            "comments": sum(c.number == pull.number and c.path is None for c in repo.comments.values()),
            "created_at": when(pull.at),
            "updated_at": when(pull.updated_at),
            "closed_at": when(pull.closed_at),
            "closed_by": self.user(pull.closed_by) if pull.closed_by else None,
            "author_association": self._association(repo, pull.login),
            "active_lock_reason": None,
            "body": pull.body,
            "reactions": self.tally(repo, ("issues", pull.number), url),
            "timeline_url": f"{url}/timeline",
            "performed_via_github_app": None,
            "state_reason": None,
        }
        if pull.head:
            pulls = f"{self.url_of(repo)}/pulls/{pull.number}"
            merged = {"merged_at": when(pull.merged_at)}
            links = {"url": pulls, "html_url": web, "diff_url": f"{web}.diff", "patch_url": f"{web}.patch"}
            shown |= {"draft": pull.draft, "pull_request": {**links, **merged}}
        return shown

    def tally(self, repo: Repo, to: tuple[str, int], url: str) -> dict[str, Any]:
        """How often each reaction was given."""
        given = [reaction.content for reaction in repo.reactions.values() if reaction.to == to]
        kinds = ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")
        return {"url": f"{url}/reactions", "total_count": len(given), **{kind: given.count(kind) for kind in kinds}}

    def comment(self, repo: Repo, comment: Comment) -> dict[str, Any]:
        """A comment of an issue or pull request."""
        url = f"{self.url_of(repo)}/issues/comments/{comment.id}"
        kind = "pull" if repo.pulls[comment.number].head else "issues"
        return {
            "url": url,
            "html_url": f"{self.hub.web}/{repo.full_name}/{kind}/{comment.number}#issuecomment-{comment.id}",
            "issue_url": f"{self.url_of(repo)}/issues/{comment.number}",
            "id": comment.id,
            "node_id": node("IC", comment.id),
            "user": self.user(comment.login),
            "created_at": when(comment.at),
            "updated_at": when(comment.updated_at),
            "author_association": self._association(repo, comment.login),
            "body": comment.body,
            "reactions": self.tally(repo, ("comments", comment.id), url),
            "performed_via_github_app": None,
        }

    def line_comment(self, repo: Repo, comment: Comment) -> dict[str, Any]:
        """A comment on a line of a pull request."""
        url = f"{self.url_of(repo)}/pulls/comments/{comment.id}"
        pulls = f"{self.url_of(repo)}/pulls/{comment.number}"
        web = f"{self.hub.web}/{repo.full_name}/pull/{comment.number}#discussion_r{comment.id}"
        shown = {
            "url": url,
            "pull_request_review_id": comment.review,
            "id": comment.id,
            "node_id": node("PRRC", comment.id),
            "diff_hunk": comment.hunk,
            "path": comment.path,
            "commit_id": comment.commit,
            "original_commit_id": comment.commit,
            "user": self.user(comment.login),
            "body": comment.body,
            "created_at": when(comment.at),
            "updated_at": when(comment.updated_at),
            "html_url": web,
            "pull_request_url": pulls,
            "author_association": self._association(repo, comment.login),
            "_links": {"self": {"href": url}, "html": {"href": web}, "pull_request": {"href": pulls}},
            "reactions": self.tally(repo, ("pulls", comment.id), url),
            "line": comment.line,
            "original_line": comment.line,
            "side": "RIGHT",
            "original_position": comment.line or 1,
            "position": comment.line or 1,
            "subject_type": "line",
        }
        return shown | ({"in_reply_to_id": comment.reply_to} if comment.reply_to else {})

    def review(self, repo: Repo, review: Review, *, hook: bool = False) -> dict[str, Any]:
        """A review; a webhook writes its state small."""
        pulls = f"{self.url_of(repo)}/pulls/{review.number}"
        web = f"{self.hub.web}/{repo.full_name}/pull/{review.number}#pullrequestreview-{review.id}"
        return {
            "id": review.id,
            "node_id": node("PRR", review.id),
            "user": self.user(review.login),
            "body": review.body,
            "state": review.state.lower() if hook else review.state,
            "html_url": web,
            "pull_request_url": pulls,
            "author_association": self._association(repo, review.login),
            "_links": {"html": {"href": web}, "pull_request": {"href": pulls}},
            "submitted_at": when(review.at),
            "commit_id": review.commit,
        }

    def reaction(self, reaction: Reaction) -> dict[str, Any]:
        """A reaction."""
        return {
            "id": reaction.id,
            "node_id": node("REA", reaction.id),
            "user": self.user(reaction.login),
            "content": reaction.content,
            "created_at": when(reaction.at),
        }

    def git_commit(self, repo: Repo, sha: str) -> dict[str, Any]:
        """A commit as git has it."""
        git = self.hub.git(repo)
        if not git.has(sha):
            raise ApiError(404, "Not Found")
        form = "%T%n%P%n%an%n%ae%n%aI%n%cn%n%ce%n%cI%n%B"
        (
            tree,
            parents,
            *rest,
        ) = git.run("log", "-1", f"--format={form}", sha).decode("utf-8", "replace").split("\n")
        base, web = self.url_of(repo), f"{self.hub.web}/{repo.full_name}/commit"
        return {
            "sha": sha,
            "node_id": node("C", int(sha[:7], 16)),
            "url": f"{base}/git/commits/{sha}",
            "html_url": f"{web}/{sha}",
            "author": dict(zip(("name", "email", "date"), rest[:3], strict=True)),
            "committer": dict(zip(("name", "email", "date"), rest[3:6], strict=True)),
            "tree": {"sha": tree, "url": f"{base}/git/trees/{tree}"},
            "message": "\n".join(rest[6:]).rstrip("\n"),
            "parents": [
                {"sha": p, "url": f"{base}/git/commits/{p}", "html_url": f"{web}/{p}"} for p in parents.split()
            ],
            "verification": _UNVERIFIED,
        }

    def commit(self, repo: Repo, sha: str) -> dict[str, Any]:
        """A commit as GitHub shows it, with whom it takes the author for."""
        inner = self.git_commit(repo, sha)
        url = f"{self.url_of(repo)}/commits/{sha}"
        kept = {name: inner[name] for name in ("author", "committer", "message", "tree", "url", "verification")}
        parents = [{**p, "url": p["url"].replace("/git/commits/", "/commits/")} for p in inner["parents"]]
        who = {name: self._known(inner[name]["name"]) for name in ("author", "committer")}
        return {
            "sha": sha,
            "node_id": inner["node_id"],
            "commit": {**kept, "comment_count": 0},
            "url": url,
            "html_url": inner["html_url"],
            "comments_url": f"{url}/comments",
            **who,
            "parents": parents,
        }

    def _known(self, login: str) -> dict[str, Any] | None:
        found = self.hub.accounts.get(login.lower())
        return self.account(found) if found else None

    def status(self, repo: Repo, status: Status, *, full: bool = True) -> dict[str, Any]:
        """A commit status; not `full` inside a combined one."""
        shown = {
            "url": f"{self.url_of(repo)}/statuses/{status.sha}",
            "avatar_url": f"{self.hub.web}/avatars/oa/1?v=4",
            "id": status.id,
            "node_id": node("SC", status.id),
            "state": status.state,
            "description": status.description,
            "target_url": status.target_url,
            "context": status.context,
            "created_at": when(status.at),
            "updated_at": when(status.at),
        }
        return shown | ({"creator": self.user(status.login)} if full else {})

    def app(self, app_id: int) -> dict[str, Any]:
        """An app as a check run names it."""
        app = self.hub.apps.get(app_id)
        slug = app.slug if app else f"app-{app_id}"
        return {
            "id": app_id,
            "slug": slug,
            "node_id": node("A", app_id),
            "owner": self.user("acme"),
            "name": slug,
            "description": "",
            "external_url": "https://example.com",
            "html_url": f"{self.hub.web}/apps/{slug}",
            "created_at": "2020-01-01T00:00:00Z",
            "updated_at": "2020-01-01T00:00:00Z",
            "permissions": {"checks": "write", "metadata": "read"},
            "events": ["check_run", "check_suite"],
        }

    def check(self, repo: Repo, check: Check, *, hook: bool = False) -> dict[str, Any]:
        """A check run; a webhook's has its whole suite inside."""
        url, web = f"{self.url_of(repo)}/check-runs/{check.id}", f"{self.hub.web}/{repo.full_name}/runs/{check.id}"
        suite = self.suite(repo, check.sha, check.app_id) if hook else {"id": check.suite}
        return {
            "id": check.id,
            "name": check.name,
            "node_id": node("CR", check.id),
            "head_sha": check.sha,
            "external_id": "",
            "url": url,
            "html_url": web,
            "details_url": "https://example.com",
            "status": check.status,
            "conclusion": check.conclusion,
            "started_at": when(check.at),
            "completed_at": when(check.at) if check.status == "completed" else None,
            "output": {
                "title": None,
                "summary": None,
                "text": None,
                "annotations_count": 0,
                "annotations_url": f"{url}/annotations",
            },
            "check_suite": suite,
            "app": self.app(check.app_id),
            "pull_requests": self.small_pulls(repo, check.sha),
        }

    def suite(self, repo: Repo, sha: str, app_id: int, *, full: bool = False) -> dict[str, Any]:
        """A check suite; `full` as the interface shows it, else as a webhook does."""
        runs = [c for c in repo.checks.values() if c.sha == sha and c.app_id == app_id]
        done = bool(runs) and all(check.status == "completed" for check in runs)
        bad = next((c.conclusion for c in runs if c.conclusion not in ("success", "neutral", "skipped")), None)
        number = repo.suites[sha, app_id]
        url = f"{self.url_of(repo)}/check-suites/{number}"
        pull = next((p for p in repo.pulls.values() if p.sha == sha), None)
        inner = self.git_commit(repo, sha)
        shown: dict[str, Any] = {
            "id": number,
            "node_id": node("CS", number),
            "head_branch": pull.head if pull else None,
            "head_sha": sha,
            "status": "completed" if done else "in_progress" if runs else "queued",
            "conclusion": (bad or "success") if done else None,
            "url": url,
            "before": pull.base_sha if pull else None,
            "after": sha,
            "pull_requests": self.small_pulls(repo, sha),
            "app": self.app(app_id),
            "created_at": when(repo.at),
            "updated_at": when(max((c.at for c in runs), default=repo.at)),
            "rerequestable": True,
            "runs_rerequestable": True,
            "latest_check_runs_count": len(runs),
            "check_runs_url": f"{url}/check-runs",
            "head_commit": {
                "id": sha,
                "tree_id": inner["tree"]["sha"],
                "message": inner["message"],
                "timestamp": inner["committer"]["date"],
                "author": {name: inner["author"][name] for name in ("name", "email")},
                "committer": {name: inner["committer"][name] for name in ("name", "email")},
            },
        }
        return shown | ({"repository": self.minimal(repo)} if full else {})

    def small_pulls(self, repo: Repo, sha: str) -> list[dict[str, Any]]:
        """The open pull requests with this head, as checks name them."""
        inside = {"id": repo.id, "url": self.url_of(repo), "name": repo.name}
        return [
            {
                "id": pull.id,
                "number": pull.number,
                "url": f"{self.url_of(repo)}/pulls/{pull.number}",
                "head": {"ref": pull.head, "sha": pull.sha, "repo": inside},
                "base": {"ref": pull.base, "sha": pull.base_sha, "repo": inside},
            }
            for pull in repo.pulls.values()
            if pull.head and pull.state == "open" and pull.sha == sha
        ]

    def installation(self, app: App, number: int) -> dict[str, Any]:
        """Where an app is installed."""
        owner = self.user(app.installations[number])
        return {
            "id": number,
            "account": owner,
            "access_tokens_url": f"{self.hub.url}/app/installations/{number}/access_tokens",
            "repositories_url": f"{self.hub.url}/installation/repositories",
            "html_url": f"{self.hub.web}/organizations/{owner['login']}/settings/installations/{number}",
            "app_id": app.id,
            "app_slug": app.slug,
            "target_id": owner["id"],
            "target_type": "Organization",
            "permissions": {"checks": "read", "contents": "write", "metadata": "read", "pull_requests": "write"},
            "events": ["pull_request", "issue_comment"],
            "single_file_name": None,
            "repository_selection": "all",
            "created_at": "2020-01-01T00:00:00Z",
            "updated_at": "2020-01-01T00:00:00Z",
            "suspended_by": None,
            "suspended_at": None,
        }
