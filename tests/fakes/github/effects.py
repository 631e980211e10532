"""What follows from what people do: pull requests open, move, end and merge, in git, and webhooks tell of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tests.fakes.github.rest import ApiError
from tests.fakes.github.state import Pull, Repo, now

if TYPE_CHECKING:
    import threading

    from tests.fakes.github.gitdir import GitDir
    from tests.fakes.github.hooks import Hooks
    from tests.fakes.github.shapes import Shapes


class Effects:
    """The consequences; `tests.fakes.github.people` has the acts."""

    if TYPE_CHECKING:
        lock: threading.RLock
        hooks: Hooks
        shapes: Shapes
        by_id: dict[int, Repo]

        def next_id(self) -> int: ...
        def repo(self, full_name: str) -> Repo: ...
        def git(self, repo: Repo | str) -> GitDir: ...
        def user(self, login: str) -> Any: ...

    def as_hook(self, repo: Repo, pull: Pull) -> dict[str, Any]:
        """The part of a webhook's payload that is the pull request."""
        return {"pull_request": self.shapes.full_pull(repo, pull, asks=False)}

    def file(self, repo: Repo, sha: str, change: Mapping[str, Any]) -> dict[str, Any]:
        """A changed file with its addresses."""
        name, url = change["filename"], self.shapes.url_of(repo)
        web = self.shapes.repo(repo)["html_url"]
        links = {"blob_url": f"{web}/blob/{sha}/{name}", "raw_url": f"{web}/raw/{sha}/{name}"}
        return {**change, **links, "contents_url": f"{url}/contents/{name}?ref={sha}"}

    def opened(
        self, repo: Repo, login: str, title: str, body: str | None, head: str, base: str, *, draft: bool = False
    ) -> Pull:
        """A pull request was opened."""
        git = self.git(repo)
        shas = git.ref(f"refs/heads/{head}") or "", git.ref(f"refs/heads/{base}") or ""
        number = max(repo.pulls, default=0) + 1
        pull = Pull(self.next_id(), number, title, body, login, head, base, *shas, draft=draft)
        repo.pulls[number] = pull
        git.move(f"refs/pull/{number}/head", pull.sha)
        self.hooks.emit(repo, "pull_request", "opened", login, number=number, **self.as_hook(repo, pull))
        return pull

    def end(self, repo: Repo, pull: Pull, login: str) -> None:
        """A pull request was closed."""
        if pull.state != "open":
            return
        pull.state, pull.closed_at, pull.updated_at, pull.closed_by = "closed", now(), now(), login
        self.hooks.emit(repo, "pull_request", "closed", login, number=pull.number, **self.as_hook(repo, pull))

    def reopen(self, repo: Repo, pull: Pull, login: str) -> None:
        """A pull request was opened again; not when it was merged, or its branch is gone."""
        if pull.merged_at or self.git(repo).ref(f"refs/heads/{pull.head}") != pull.sha:
            raise ApiError(
                422, "Validation ApiError", [{"resource": "PullRequest", "code": "custom", "field": "state"}]
            )
        pull.state, pull.closed_at, pull.closed_by = "open", None, None
        self.hooks.emit(repo, "pull_request", "reopened", login, number=pull.number, **self.as_hook(repo, pull))

    def merge_now(
        self, repo: Repo, pull: Pull, login: str, method: str, title: str | None = None, message: str | None = None
    ) -> str | None:
        """Merge in git; the new tip of the base branch, or None when it does not apply."""
        self.user(login)
        git = self.git(repo)
        base = git.ref(f"refs/heads/{pull.base}")
        if pull.state != "open" or base is None:
            return None
        before = git.refs()
        merged = _merge(git, repo, pull, base, method, login, title, message)
        if merged is None:
            return None
        pull.base_sha = base
        pull.state, pull.closed_at, pull.merged_at, pull.updated_at = "closed", now(), now(), now()
        pull.merged_by = pull.closed_by = login
        pull.merge_sha = merged
        git.move(f"refs/heads/{pull.base}", merged)
        self.hooks.emit(repo, "pull_request", "closed", login, number=pull.number, **self.as_hook(repo, pull))
        self.refs_moved(repo, before, login)
        return merged

    def refs_moved(self, repo: Repo, before: Mapping[str, str], login: str) -> None:
        """Branches moved, by a push or otherwise: pull requests notice."""
        with self.lock:
            git = self.git(repo)
            after = git.refs()
            for name in sorted(before.keys() | after.keys()):
                old, new = before.get(name), after.get(name)
                if name.startswith("refs/heads/") and old != new:
                    self._moved(repo, git, name.removeprefix("refs/heads/"), old, new, login)

    def _moved(self, repo: Repo, git: GitDir, branch: str, old: str | None, new: str | None, login: str) -> None:
        self._emit_push(repo, branch, old, new, login)
        for pull in repo.pulls.values():
            if pull.state != "open":
                continue
            if pull.head == branch and new is None:
                self.end(repo, pull, login)
            elif pull.head == branch and new is not None:
                pull.sha, pull.updated_at = new, now()
                git.move(f"refs/pull/{pull.number}/head", new)
                change = {"number": pull.number, "before": old, "after": new}
                self.hooks.emit(repo, "pull_request", "synchronize", login, **change, **self.as_hook(repo, pull))
            elif pull.base == branch and new is not None and git.reaches(pull.sha, new):
                pull.merged_at, pull.merged_by, pull.merge_sha = now(), login, new
                self.end(repo, pull, login)
            elif pull.base == branch and new is not None:
                pull.base_sha = new

    def _emit_push(self, repo: Repo, branch: str, old: str | None, new: str | None, login: str) -> None:
        none = "0" * 40
        url = self.shapes.repo(repo)["html_url"]
        self.hooks.emit(
            repo,
            "push",
            None,
            login,
            ref=f"refs/heads/{branch}",
            before=old or none,
            after=new or none,
            created=old is None,
            deleted=new is None,
            forced=False,
            base_ref=None,
            compare=f"{url}/compare/{(old or none)[:12]}...{(new or none)[:12]}",
            commits=[],
            head_commit=None,
            repository=self.shapes.pushed_repo(repo),
            pusher={"name": login, "email": f"{login}@users.noreply.github.com"},
        )


def _merge(
    git: GitDir, repo: Repo, pull: Pull, base: str, method: str, login: str, title: str | None, message: str | None
) -> str | None:
    """The commit that a merge by this method makes, on top of `base`."""
    if method == "rebase":
        return git.rebased(base, pull.sha, login)
    tree = git.merged(base, pull.sha)
    if tree is None:
        return None
    if method == "squash":
        text = f"{title or f'{pull.title} (#{pull.number})'}\n\n{message or ''}".rstrip() + "\n"
        return git.commit(tree, [base], text, login)
    usual = f"Merge pull request #{pull.number} from {repo.owner}/{pull.head}"
    text = f"{title or usual}\n\n{pull.title if message is None else message}".rstrip() + "\n"
    return git.commit(tree, [base, pull.sha], text, login)
