"""Pull requests, issues and what was said at them in GitHub's JSON."""

from __future__ import annotations

from typing import Any

from tests.fakes.github.basics import Basics, node, when
from tests.fakes.github.state import Comment, Pull, Reaction, Repo, Review


class Words(Basics):
    """Pull requests, issues, comments, reviews, reactions as JSON."""

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
            "start_line": None,
            "original_start_line": None,
            "start_side": None,
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
