"""Calls GitHub's API through PyGithub in threads, and adds our errors, rate limits, timeouts and identities."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

from github import Github, GithubException
from github.Repository import Repository

from core.model.errors import CountersignError, NotFoundError, PermanentError, TransientError
from core.ports.repository import RepositorySpec
from lanes.forge.github.access import GitHubAccess, full_name_of
from lanes.forge.github.faults import RATE_LIMIT, explain, is_refused_token
from lanes.forge.github.session import RequestPacer, SessionPool
from lanes.forge.github.tokens import TokenProvider

T = TypeVar("T")

_MAX_THREADS: Final = 4
BODY_CHARS: Final = 65_535
"""The longest body of a comment or pull request; GitHub answers 422 to a longer one."""


@dataclass(frozen=True, slots=True)
class Permission:
    """An account's current permission in a repository.

    `role` is none, read, triage, write, maintain, admin or a custom role. `kind` is GitHub's type of the account: User,
    Bot, Organization, Mannequin. `old_role` is GitHub's coarse role: none, read, write, admin.
    """

    id: int
    login: str
    kind: str
    role: str
    old_role: str

    @property
    def may_write(self) -> bool:
        """True for a person with write access, who may give commands; never for a bot (security.md 11)."""
        return self.kind == "User" and self.old_role in ("write", "admin")


class GitHubClient:
    """GitHub's API for one `GitHubAccess`; share it among all tasks of a process, and `close` it at the end.

    Every call has a timeout and raises `TransientError` (with `retry_after_s` if GitHub names a time), `ConflictError`
    or `PermanentError`. When GitHub refuses a token, the client gets a new one and repeats the call once, so `fn` must
    be idempotent. `between_changes_s` is the pause between two changing requests.
    """

    def __init__(
        self,
        access: GitHubAccess,
        *,
        between_changes_s: float = 1.0,
        request_s: float = 15.0,
        call_s: float = 90.0,
    ) -> None:
        self.access = access
        self._call_s = call_s
        self._pacer = RequestPacer(between_changes_s)
        self._sessions = SessionPool(access.api_url, self._pacer, request_s)
        self._tokens = TokenProvider(access, request_s)
        self._threads = ThreadPoolExecutor(_MAX_THREADS, thread_name_prefix="github")

    def close(self) -> None:
        """Close idle connections and stop accepting calls; running calls finish."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._sessions.close()

    # -- calls ----------------------------------------------------------------------------------------------------

    async def call(self, fn: Callable[[Github], T], spec: RepositorySpec | int | None = None) -> T:
        """Run `fn` in a thread with a `Github` that no other thread uses; the result of `fn`.

        `fn` must not return PyGithub objects, because they send further requests by themselves. An app needs `spec`, or
        a repository's id, to select its installation, unless it has only one.
        """
        return await self._run_in_thread(lambda: self._call(fn, self._path(spec)))

    async def at(self, spec: RepositorySpec | int, fn: Callable[[Repository], T]) -> T:
        """The result of `fn` for a repository, which is looked up by its id if the id is known."""
        return await self.call(lambda github: fn(self._repository(github, spec)), spec)

    async def repository(self, spec: RepositorySpec | int) -> tuple[int, str]:
        """A repository's id and current ``owner/name``; raises `PermanentError` if it is not the pinned repository."""
        return await self.at(spec, lambda repo: (repo.id, repo.full_name))

    async def _run_in_thread(self, work: Callable[[], T]) -> T:
        running = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            return await asyncio.wait_for(running, self._call_s)
        except TimeoutError as error:
            raise TransientError("github_timeout", f"GitHub took longer than {self._call_s:g} s") from error

    def _call(self, fn: Callable[[Github], T], path: str | None) -> T:
        try:
            return self._call_with_token(fn, path)
        except CountersignError:
            raise
        except Exception as error:
            raise self._translate(error) from error

    def _translate(self, error: Exception) -> CountersignError:
        """The error to raise instead; a rate limit also pauses all other calls."""
        translated = explain(error)
        if (
            isinstance(translated, TransientError)
            and translated.retry_after_s
            and translated.problem.code == RATE_LIMIT
        ):
            self._pacer.hold(translated.retry_after_s)
        return translated

    def _call_with_token(self, fn: Callable[[Github], T], path: str | None) -> T:
        self._pacer.wait_turn(change=False)
        token = self._tokens.token_for(path)
        try:
            with self._sessions.borrow(token) as github:
                return fn(github)
        except GithubException as error:
            if not is_refused_token(error):
                raise
            self._sessions.close(token)
            with self._sessions.borrow(self._tokens.token_for(path, refused=token)) as github:
                return fn(github)

    # -- looking up repositories ----------------------------------------------------------------------------------

    def _path(self, spec: RepositorySpec | int | None) -> str | None:
        if spec is None or isinstance(spec, int):
            return None if spec is None else f"/repositories/{spec}"
        name = full_name_of(spec, self.access)
        return f"/repositories/{spec.forge_id}" if spec.forge_id is not None else f"/repos/{name}"

    def _repository(self, github: Github, spec: RepositorySpec | int) -> Repository:
        """The repository; raises `PermanentError` if an unpinned repository has moved (security.md 71)."""
        if isinstance(spec, int):
            return github.get_repo(spec)
        name = full_name_of(spec, self.access)
        repo = github.get_repo(spec.forge_id if spec.forge_id is not None else name)
        if spec.forge_id is None and repo.full_name.lower() != name.lower():
            message = f"The repository {spec.name} is now called {repo.full_name} at GitHub"
            mend = f"If it is the right repository, give its new address, or `forge_id: {repo.id}`."
            raise PermanentError("repository_moved", message, mend)
        return repo

    # -- credentials of git ---------------------------------------------------------------------------------------

    def credentials(self, spec: RepositorySpec, refused: str | None = None) -> str:
        """The token for git (see `lanes.repository.Credentials`); blocking.

        Returned only for an address on this GitHub, and for a pinned repository only while it has that address.
        """
        name = full_name_of(spec, self.access)

        def check(github: Github) -> None:
            repo = github.get_repo(name)
            if repo.id != spec.forge_id:
                message = f"The address of {spec.name} now belongs to another repository at GitHub"
                mend = "Find out who owns it, and give the new address in countersign.yaml."
                raise PermanentError("repository_replaced", message, mend)

        path = self._path(spec)
        try:
            if refused is not None:
                return self._tokens.token_for(path, refused)
            if spec.forge_id is not None:
                self._call(check, path)
            return self._tokens.token_for(path)
        except CountersignError:
            raise
        except Exception as error:
            raise self._translate(error) from error

    # -- permissions and comments --------------------------------------------------------------------------------------

    async def permission(self, spec: RepositorySpec | int, account: str | int) -> Permission:
        """The current permission of an account; `account` is a login or the permanent id (security.md 10).

        Raises `NotFoundError` when the login changes to another account between two requests.
        """

        def read(github: Github) -> Permission:
            repo = self._repository(github, spec)
            is_id = isinstance(account, int) or account.isdigit()
            user = github.get_user_by_id(int(account)) if is_id else github.get_user(str(account))
            login: str = user.login
            _, answer = repo.requester.requestJsonAndCheck("GET", f"{repo.url}/collaborators/{login}/permission")
            permitted = answer.get("user") or {}
            if permitted.get("id") != user.id:
                raise NotFoundError("github_not_found", f"{login} is now another account at GitHub")
            return Permission(
                user.id, login, str(permitted.get("type")), str(answer["role_name"]), str(answer["permission"])
            )

        return await self.call(read, spec)

    async def comment(self, spec: RepositorySpec | int, number: int, body: str) -> int:
        """Comment on an issue or pull request with at most `BODY_CHARS` characters; the comment's id."""
        return await self.at(spec, lambda repo: repo.get_issue(number).create_comment(body).id)

    async def edit_comment(self, spec: RepositorySpec | int, comment: int, body: str) -> None:
        """Edit a comment of ours; raises `PermanentError` of kind MISSING when it no longer exists."""

        def edit(repo: Repository) -> None:
            repo.requester.requestJsonAndCheck("PATCH", f"{repo.url}/issues/comments/{comment}", input={"body": body})

        await self.at(spec, edit)

    async def delete_comment(self, spec: RepositorySpec | int, comment: int) -> None:
        """Delete a comment; succeeds if it no longer exists."""

        def delete(repo: Repository) -> None:
            try:
                repo.requester.requestJsonAndCheck("DELETE", f"{repo.url}/issues/comments/{comment}")
            except GithubException as error:
                if error.status != 404:
                    raise

        await self.at(spec, delete)

    async def react(
        self, spec: RepositorySpec | int, comment: int, content: str = "eyes", *, line: bool = False
    ) -> None:
        """React to a comment (`line`: to a review comment on a line); repeating a reaction has no effect."""

        def add(repo: Repository) -> None:
            url = f"{repo.url}/{'pulls' if line else 'issues'}/comments/{comment}/reactions"
            repo.requester.requestJsonAndCheck("POST", url, input={"content": content})

        await self.at(spec, add)
