"""What people, programs and GitHub itself do in a test: each act changes git and state, and sends its webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.fakes.github.effects import Effects
from tests.fakes.github.rest import ApiError
from tests.fakes.github.state import Check, Comment, Pull, Repo, Review, Status, now


class People(Effects):
    """The acts; `tests.fakes.github.FakeGitHub` is this and a server."""

    # -- what people say ------------------------------------------------------------------------------------------

    def comment(self, full_name: str, number: int, login: str, body: str) -> Comment:
        """`login` comments on a pull request or issue."""
        with self.lock:
            return self.said(self.repo(full_name), number, login, body)

    def edit_comment(self, full_name: str, comment: Comment, body: str) -> Comment:
        """Its writer changes a comment."""
        with self.lock:
            self.edited(self.repo(full_name), comment, comment.login, body)
            return comment

    def delete_comment(self, full_name: str, comment: Comment) -> None:
        """Its writer deletes a comment."""
        with self.lock:
            self.unsaid(self.repo(full_name), comment, comment.login)

    def review(
        self, full_name: str, number: int, login: str, state: str = "COMMENTED", body: str = "", sha: str = ""
    ) -> Review:
        """`login` submits a review: APPROVED, CHANGES_REQUESTED or COMMENTED."""
        with self.lock:
            self.user(login)
            repo = self.repo(full_name)
            pull = repo.pulls[number]
            made = Review(self.next_id(), number, login, state, body, sha or pull.sha)
            repo.reviews[made.id] = made
            pull.updated_at = now()
            shown = {"review": self.shapes.review(repo, made, hook=True), "pull_request": self.shapes.pull(repo, pull)}
            self.hooks.emit(repo, "pull_request_review", "submitted", login, **shown)
            return made

    def dismiss(self, full_name: str, review: Review, login: str) -> None:
        """`login` dismisses someone's review."""
        with self.lock:
            repo = self.repo(full_name)
            review.state = "DISMISSED"
            pull = self.shapes.pull(repo, repo.pulls[review.number])
            shown = {"review": self.shapes.review(repo, review, hook=True), "pull_request": pull}
            self.hooks.emit(repo, "pull_request_review", "dismissed", login, **shown)

    def review_comment(self, full_name: str, number: int, login: str, path: str, line: int, body: str) -> Comment:
        """`login` comments on a line of a pull request; a review of that one comment is made around it."""
        with self.lock:
            return self.said_on_line(self.repo(full_name), number, login, body, path, line)

    def issue(self, full_name: str, login: str, title: str, body: str = "") -> Pull:
        """`login` opens a plain issue."""
        with self.lock:
            self.user(login)
            repo = self.repo(full_name)
            number = max(repo.pulls, default=0) + 1
            repo.pulls[number] = made = Pull(self.next_id(), number, title, body, login, "", "", "", "")
            self.hooks.emit(repo, "issues", "opened", login, issue=self.shapes.issue(repo, made))
            return made

    def said(self, repo: Repo, number: int, login: str, body: str) -> Comment:
        """A comment was made."""
        self.user(login)
        made = Comment(self.next_id(), number, login, body)
        repo.comments[made.id] = made
        repo.pulls[number].updated_at = now()
        self._spoken(repo, made, "created", login)
        return made

    def edited(self, repo: Repo, comment: Comment, login: str, body: str) -> None:
        """A comment was changed."""
        before, comment.body, comment.updated_at = comment.body, body, now()
        self._spoken(repo, comment, "edited", login, changes={"body": {"from": before}})

    def unsaid(self, repo: Repo, comment: Comment, login: str) -> None:
        """A comment was deleted."""
        self._spoken(repo, comment, "deleted", login)
        del repo.comments[comment.id]

    def _spoken(self, repo: Repo, comment: Comment, action: str, login: str, **more: Any) -> None:
        issue = self.shapes.issue(repo, repo.pulls[comment.number])
        self.hooks.emit(
            repo, "issue_comment", action, login, issue=issue, comment=self.shapes.comment(repo, comment), **more
        )

    def said_on_line(
        self, repo: Repo, number: int, login: str, body: str, path: str, line: int, reply_to: int | None = None
    ) -> Comment:
        """A comment on a line was made."""
        pull = repo.pulls[number]
        git = self.git(repo)
        hunks = {str(file["filename"]): str(file["patch"]) for file in git.changes(pull.base_sha, pull.sha)}
        if path not in hunks:
            raise ValueError(f"pull request {number} does not change {path}: {sorted(hunks)}")
        review = self.review(repo.full_name, number, login)
        made = Comment(
            self.next_id(),
            number,
            login,
            body,
            path=path,
            line=line,
            commit=pull.sha,
            hunk=hunks[path],
            review=review.id,
            reply_to=reply_to,
        )
        repo.comments[made.id] = made
        shown = {"comment": self.shapes.line_comment(repo, made), "pull_request": self.shapes.pull(repo, pull)}
        self.hooks.emit(repo, "pull_request_review_comment", "created", login, **shown)
        return made

    # -- what people do -------------------------------------------------------------------------------------------

    def push(
        self, full_name: str, branch: str, files: Mapping[str, str | bytes | None], login: str, *, force: bool = False
    ) -> str:
        """`login` commits `files` (None deletes one) on `branch`, made from the default branch if it is new.

        `force` replaces what the branch had by one commit on the default branch.
        """
        with self.lock:
            self.user(login)
            repo = self.repo(full_name)
            git, before = self.git(repo), self.git(repo).refs()
            main = before.get(f"refs/heads/{repo.default_branch}")
            parent = main if force else before.get(f"refs/heads/{branch}", main)
            tree = git.write_tree(parent, files)
            made = git.commit(tree, [parent] if parent else [], f"by {login}\n", login)
            git.move(f"refs/heads/{branch}", made)
            self.refs_moved(repo, before, login)
            return made

    def delete_branch(self, full_name: str, branch: str, login: str) -> None:
        """`login` deletes a branch; its pull requests are closed."""
        with self.lock:
            repo = self.repo(full_name)
            before = self.git(repo).refs()
            self.git(repo).move(f"refs/heads/{branch}", None)
            self.refs_moved(repo, before, login)

    def merge_by_hand(self, full_name: str, number: int, login: str, method: str = "merge") -> str:
        """`login` presses the green button."""
        with self.lock:
            repo = self.repo(full_name)
            merged = self.merge_now(repo, repo.pulls[number], login, method)
            if merged is None:
                raise ApiError(405, "Pull Request is not mergeable")
            return merged

    def close_by_hand(self, full_name: str, number: int, login: str) -> None:
        """`login` closes a pull request."""
        with self.lock:
            self.user(login)
            repo = self.repo(full_name)
            self.end(repo, repo.pulls[number], login)

    def reopen_by_hand(self, full_name: str, number: int, login: str) -> None:
        """`login` opens a closed pull request again."""
        with self.lock:
            repo = self.repo(full_name)
            self.reopen(repo, repo.pulls[number], login)

    # -- what programs say ----------------------------------------------------------------------------------------

    def status(
        self,
        full_name: str,
        sha: str,
        context: str,
        state: str,
        login: str = "ci",
        description: str | None = None,
        target: str | None = None,
    ) -> Status:
        """A commit status is set."""
        with self.lock:
            self.user(login)
            repo = self.repo(full_name)
            made = Status(self.next_id(), sha, state, context, description, target, login)
            repo.statuses.append(made)
            branches = [
                {
                    "name": name.removeprefix("refs/heads/"),
                    "commit": {"sha": oid, "url": f"{self.shapes.url_of(repo)}/commits/{oid}"},
                    "protected": name == f"refs/heads/{repo.default_branch}",
                }
                for name, oid in self.git(repo).refs().items()
                if name.startswith("refs/heads/") and oid == sha
            ]
            shown = self.shapes.status(repo, made)
            names = ("id", "state", "description", "target_url", "context", "created_at", "updated_at", "avatar_url")
            payload = {name: shown[name] for name in names}
            commit = self.shapes.commit(repo, sha)
            payload |= {"sha": sha, "name": repo.full_name, "commit": commit, "branches": branches}
            self.hooks.emit(repo, "status", None, login, **payload)
            return made

    def set_check(
        self, full_name: str, sha: str, name: str, app_id: int, conclusion: str | None, *, status: str = ""
    ) -> Check:
        """An app reports a check run of a commit; a conclusion of None is one that still runs."""
        with self.lock:
            repo = self.repo(full_name)
            suite = repo.suites.setdefault((sha, app_id), self.next_id())
            state = status or ("completed" if conclusion else "in_progress")
            made = Check(self.next_id(), sha, name, app_id, state, conclusion, suite)
            repo.checks = {n: c for n, c in repo.checks.items() if (c.sha, c.name, c.app_id) != (sha, name, app_id)}
            repo.checks[made.id] = made
            sender = self.user("github-actions[bot]").login
            action = "completed" if state == "completed" else "created"
            self.hooks.emit(repo, "check_run", action, sender, check_run=self.shapes.check(repo, made, hook=True))
            whole = self.shapes.suite(repo, sha, app_id)
            if whole["status"] == "completed":
                self.hooks.emit(repo, "check_suite", "completed", sender, check_suite=whole)
            return made
