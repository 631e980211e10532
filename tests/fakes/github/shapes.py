"""Everything of GitHub's that has a shape in JSON: what `basics` and `words` have, and commits, checks, apps."""

from __future__ import annotations

from typing import Any

from tests.fakes.github.basics import node, when
from tests.fakes.github.rest import ApiError
from tests.fakes.github.state import App, Check, Repo, Status
from tests.fakes.github.words import Words

_UNVERIFIED = {"verified": False, "reason": "unsigned", "signature": None, "payload": None, "verified_at": None}


class Shapes(Words):
    """Makes the JSON of one fake's things."""

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
