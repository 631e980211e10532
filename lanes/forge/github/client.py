"""The one way to GitHub's interface: PyGithub in threads of its own, with our errors, limits and identities."""

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
from lanes.forge.github.session import Pace, Sessions
from lanes.forge.github.tokens import Tokens

T = TypeVar("T")

_AT_ONCE: Final = 4
BODY_CHARS: Final = 65_535
"""GitHub takes no longer body of a comment or pull request; a longer one is answered 422."""


@dataclass(frozen=True, slots=True)
class Permission:
    """What somebody may do in a repository now: `role` is none, read, triage, write, maintain, admin, or a custom one.

    `kind` is GitHub's word for the account: User, Bot, Organization, Mannequin. `old_role` is the coarse word that
    GitHub derives from it: none, read, write, admin.
    """

    id: int
    login: str
    kind: str
    role: str
    old_role: str

    @property
    def may_write(self) -> bool:
        """Whether a word of theirs may start anything (security.md 11): people with write access, and no bots."""
        return self.kind == "User" and self.old_role in ("write", "admin")


class GitHubClient:
    """GitHub for one `GitHubAccess`; safe to share among all tasks of a process. `close` it in the end.

    Every call has a deadline and raises `TransientError` (with `retry_after_s` where GitHub said so), `ConflictError`
    or `PermanentError`. A refused token is bought anew once, and the call made again; so `fn` looks before it acts.
    `between_changes_s` is the pause between two changing requests.
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
        self._pace = Pace(between_changes_s)
        self._sessions = Sessions(access.api_url, self._pace, request_s)
        self._tokens = Tokens(access, request_s)
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="github")

    def close(self) -> None:
        """Let go of threads and connections; what is under way ends in its own time."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._sessions.close()

    # -- calls ----------------------------------------------------------------------------------------------------

    async def call(self, fn: Callable[[Github], T], spec: RepositorySpec | int | None = None) -> T:
        """What `fn` gives, run in a thread with a `Github` of its own for that long.

        Nothing of PyGithub's may leave `fn`: its objects go back to asking by themselves. An app needs `spec` (or a
        repository's id) to know as which of its installations to ask, unless it has just one.
        """
        return await self._threaded(lambda: self._call(fn, self._path(spec)))

    async def at(self, spec: RepositorySpec | int, fn: Callable[[Repository], T]) -> T:
        """What `fn` gives for a repository, looked up by its number where that is known."""
        return await self.call(lambda github: fn(self._found(github, spec)), spec)

    async def repository(self, spec: RepositorySpec | int) -> tuple[int, str]:
        """A repository's number and present ``owner/name``; raises `PermanentError` when it is not the one pinned."""
        return await self.at(spec, lambda repo: (repo.id, repo.full_name))

    async def _threaded(self, work: Callable[[], T]) -> T:
        running = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            return await asyncio.wait_for(running, self._call_s)
        except TimeoutError as error:
            raise TransientError("github_timeout", f"GitHub took longer than {self._call_s:g} s") from error

    def _call(self, fn: Callable[[Github], T], path: str | None) -> T:
        try:
            return self._admitted(fn, path)
        except CountersignError:
            raise
        except Exception as error:
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> CountersignError:
        """The error to raise instead; when GitHub says wait, nobody asks meanwhile."""
        told = explain(error)
        if isinstance(told, TransientError) and told.retry_after_s and told.problem.code == RATE_LIMIT:
            self._pace.hold(told.retry_after_s)
        return told

    def _admitted(self, fn: Callable[[Github], T], path: str | None) -> T:
        self._pace.turn(change=False)
        token = self._tokens.of(path)
        try:
            with self._sessions.lent(token) as github:
                return fn(github)
        except GithubException as error:
            if not is_refused_token(error):
                raise
            self._sessions.close(token)
            with self._sessions.lent(self._tokens.of(path, refused=token)) as github:
                return fn(github)

    # -- which repository -----------------------------------------------------------------------------------------

    def _path(self, spec: RepositorySpec | int | None) -> str | None:
        if spec is None or isinstance(spec, int):
            return None if spec is None else f"/repositories/{spec}"
        name = full_name_of(spec, self.access)
        return f"/repositories/{spec.forge_id}" if spec.forge_id is not None else f"/repos/{name}"

    def _found(self, github: Github, spec: RepositorySpec | int) -> Repository:
        """The repository; one that another took the name of, or that moved unpinned, is not it (security.md 71)."""
        if isinstance(spec, int):
            return github.get_repo(spec)
        name = full_name_of(spec, self.access)
        repo = github.get_repo(spec.forge_id if spec.forge_id is not None else name)
        if spec.forge_id is None and repo.full_name.lower() != name.lower():
            mend = f"If that is the one that is meant, give its new address, or `forge_id: {repo.id}`."
            said = f"The repository {spec.name} is called {repo.full_name} at GitHub now"
            raise PermanentError("repository_moved", said, mend)
        return repo

    # -- for git --------------------------------------------------------------------------------------------------

    def credentials(self, spec: RepositorySpec, refused: str | None = None) -> str:
        """The token that lets git in (see `lanes.repository.Credentials`); blocking.

        It is given for an address at this GitHub only, and for a pinned repository only while that address is its.
        """
        name = full_name_of(spec, self.access)

        def check(github: Github) -> None:
            repo = github.get_repo(name)
            if repo.id != spec.forge_id:
                said = f"The address of {spec.name} belongs to another repository at GitHub now"
                mend = "Find out who has it, and give the new address in countersign.yaml."
                raise PermanentError("repository_replaced", said, mend)

        path = self._path(spec)
        try:
            if refused is not None:
                return self._tokens.of(path, refused)
            if spec.forge_id is not None:
                self._call(check, path)
            return self._tokens.of(path)
        except CountersignError:
            raise
        except Exception as error:
            raise self._explained(error) from error

    # -- people and comments --------------------------------------------------------------------------------------

    async def permission(self, spec: RepositorySpec | int, who: str | int) -> Permission:
        """What somebody may do, asked now; `who` is a login, or the number that stays theirs (security.md 10).

        Raises `NotFoundError` when a login stopped being the number's between two requests.
        """

        def ask(github: Github) -> Permission:
            repo = self._found(github, spec)
            numeric = isinstance(who, int) or who.isdigit()
            account = github.get_user_by_id(int(who)) if numeric else github.get_user(str(who))
            login: str = account.login
            _, said = repo.requester.requestJsonAndCheck("GET", f"{repo.url}/collaborators/{login}/permission")
            user = said.get("user") or {}
            if user.get("id") != account.id:
                raise NotFoundError("github_not_found", f"{login} is somebody else at GitHub by now")
            return Permission(account.id, login, str(user.get("type")), str(said["role_name"]), str(said["permission"]))

        return await self.call(ask, spec)

    async def comment(self, spec: RepositorySpec | int, number: int, body: str) -> int:
        """Comment on an issue or pull request; the comment's id. `body` has at most `BODY_CHARS` characters."""
        return await self.at(spec, lambda repo: repo.get_issue(number).create_comment(body).id)

    async def edit_comment(self, spec: RepositorySpec | int, comment: int, body: str) -> None:
        """Change a comment of ours; raises `PermanentError` of kind MISSING when it is gone."""

        def edit(repo: Repository) -> None:
            repo.requester.requestJsonAndCheck("PATCH", f"{repo.url}/issues/comments/{comment}", input={"body": body})

        await self.at(spec, edit)

    async def delete_comment(self, spec: RepositorySpec | int, comment: int) -> None:
        """Delete a comment; being gone already is success."""

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
        """React to a comment (`line`: one on a line of a pull request); the same reaction twice is one."""

        def give(repo: Repository) -> None:
            url = f"{repo.url}/{'pulls' if line else 'issues'}/comments/{comment}/reactions"
            repo.requester.requestJsonAndCheck("POST", url, input={"content": content})

        await self.at(spec, give)
