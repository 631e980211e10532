"""`Comments` over GitHub's REST interface, through the one client that everything at GitHub shares.

Repositories are asked for by number, which stays theirs through renames and transfers (security.md 71).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from bot.surfaces.github.comment_text import (
    CommentKind,
    WrittenComment,
    clean_text,
    get_path,
    positive_int,
    read_comment,
)
from bot.surfaces.github.comments import GitHubAccount, GitHubReview, OwnComment
from core.model.errors import CountersignError, PermanentError, TransientError
from core.model.errors import Kind as ErrorKind
from lanes.forge.github.client import GitHubClient

if TYPE_CHECKING:
    from github import Github

_PAGE: Final = 100
_PAGES: Final = 50
"""Pages read of one list: a conversation of 5,000 comments is read whole."""
_PULLS: Final = 200
"""Open pull requests, the latest changed first, whose reviews a catch-up looks at."""
_APP_S: Final = 30.0
_PARTS: Final = {CommentKind.COMMENT: "issues", CommentKind.LINE: "pulls"}


@dataclass(slots=True)
class RestCommentsClient:
    """`Comments` at the GitHub that `client` reaches."""

    client: GitHubClient
    _me: GitHubAccount | None = None
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def me(self, repository: str) -> GitHubAccount:
        """The token's account, or our App's own ``slug[bot]``."""
        async with self._asking:
            if self._me is None:
                path = "/user" if self.client.access.token is not None else f"/users/{await self._app_login()}"
                self._me = _account(await self._ask(lambda hub: _json(hub, path), int(repository)))
            return self._me

    async def repository(self, repository: str) -> str:
        """The repository's full name today."""
        return (await self.client.repository(int(repository)))[1]

    async def login(self, repository: str, person: int) -> str | None:
        """Asked now, by number."""
        try:
            return (await self.client.permission(int(repository), person)).login
        except CountersignError as error:
            if _is_missing(error):
                return None
            raise

    async def may_write(self, repository: str, person: int) -> bool:
        """Asked now, by number: write, maintain or admin, or a role of the organisation's own that can write."""
        try:
            return (await self.client.permission(int(repository), person)).may_write
        except CountersignError as error:
            if _is_missing(error):
                return False
            raise

    async def post(self, repository: str, number: int, body: str) -> int:
        """Write a comment; its id."""
        try:
            made = await self._send("POST", repository, f"/issues/{number}/comments", {"body": body})
        except PermanentError as error:
            if _is_missing(error):
                raise _gone(error) from error
            raise
        return int(made["id"])

    async def ours(self, repository: str, comment: int) -> OwnComment | None:
        """A comment by its id; None when it is gone or not ours."""
        found = await self._get(repository, f"/issues/comments/{comment}")
        return _ours(found, await self.me(repository))

    async def edit(self, repository: str, comment: int, body: str) -> bool:
        """Change a comment of ours; false when it is gone."""
        try:
            await self._send("PATCH", repository, f"/issues/comments/{comment}", {"body": body})
        except PermanentError as error:
            if _is_missing(error):
                return False
            raise
        return True

    async def find(self, repository: str, number: int, marker: str) -> OwnComment | None:
        """The newest comment there that we wrote and that begins with `marker`."""
        me = await self.me(repository)
        found = None
        for value in await self._list(repository, f"/issues/{number}/comments"):
            ours = _ours(value, me)
            if ours is not None and ours.body.startswith(marker):
                found = ours
        return found

    async def react(self, repository: str, kind: CommentKind, comment: int) -> None:
        """Give a comment or a line comment our eyes; the same reaction twice is one."""
        try:
            await self._send("POST", repository, f"/{_PARTS[kind]}/comments/{comment}/reactions", {"content": "eyes"})
        except PermanentError as error:
            if not _is_missing(error):
                raise

    async def written(self, repository: str, kind: CommentKind, comment: int) -> WrittenComment | None:
        """A comment or a line comment as it is now."""
        value = await self._get(repository, f"/{_PARTS[kind]}/comments/{comment}")
        return _line(value) if kind is CommentKind.LINE else _comment(value)

    async def review(self, repository: str, number: int, review: int) -> GitHubReview | None:
        """A submitted review with its line comments, in the order they were written."""
        value = await self._get(repository, f"/pulls/{number}/reviews/{review}")
        found = read_comment(CommentKind.REVIEW, value, number, on_pull=True)
        if found is None:
            return None
        lines = map(_line, await self._list(repository, f"/pulls/{number}/comments"))
        return GitHubReview(found, tuple(line for line in lines if line and line.review == review))

    async def recent(self, repository: str, since: datetime) -> Sequence[WrittenComment]:
        """Comments of any conversation, and reviews and line comments of open pull requests, changed since then."""
        when = f"{since:%Y-%m-%dT%H:%M:%SZ}"
        asked = {"since": when, "sort": "updated", "direction": "asc"}
        found = [_comment(value) for value in await self._list(repository, "/issues/comments", asked)]
        for number in await self._changed_pulls(repository, when):
            reviews = [
                read_comment(CommentKind.REVIEW, value, number, on_pull=True)
                for value in await self._list(repository, f"/pulls/{number}/reviews")
            ]
            known = {review.id: review.at for review in reviews if review is not None}
            found += [review for review in reviews if review is not None and review.at >= since]
            if not any(at >= since for at in known.values()):
                continue
            for value in await self._list(repository, f"/pulls/{number}/comments", {"since": when}):
                line = _line(value)
                if line is not None and line.review in known:
                    found.append(replace(line, at=max(line.at, known[line.review])))
        return [written for written in found if written is not None]

    async def _changed_pulls(self, repository: str, when: str) -> list[int]:
        asked = {"state": "open", "sort": "updated", "direction": "desc"}
        pulls = await self._list(repository, "/pulls", asked, most=_PULLS)
        numbers = [positive_int(get_path(p, "number")) for p in pulls if clean_text(get_path(p, "updated_at")) >= when]
        return [number for number in numbers if number is not None]

    async def _app_login(self) -> str:
        try:
            async with asyncio.timeout(_APP_S):
                return f"{await asyncio.to_thread(_slug, self.client)}[bot]"
        except TimeoutError as error:
            raise TransientError("github_timeout", f"GitHub took longer than {_APP_S:g} s") from error

    async def _ask(self, fn: Callable[[Github], Any], repository: int) -> Any:
        return await self.client.call(fn, repository)

    async def _get(self, repository: str, path: str) -> Any:
        """The JSON at a path below a repository; None when there is nothing."""
        try:
            return await self._ask(lambda hub: _json(hub, f"/repositories/{repository}{path}"), int(repository))
        except PermanentError as error:
            if _is_missing(error):
                return None
            raise

    async def _list(
        self, repository: str, path: str, asked: Mapping[str, str] | None = None, most: int = _PAGES * _PAGE
    ) -> list[Any]:
        def pages(hub: Github) -> Iterator[Any]:
            for page in range(1, -(-most // _PAGE) + 1):
                parameters = {**(asked or {}), "per_page": _PAGE, "page": page}
                values = _json(hub, f"/repositories/{repository}{path}", parameters)
                yield from values if isinstance(values, list) else ()
                if not isinstance(values, list) or len(values) < _PAGE:
                    return

        try:
            return list(await self._ask(lambda hub: list(pages(hub)), int(repository)))
        except PermanentError as error:
            if _is_missing(error):
                raise _gone(error) from error
            raise

    async def _send(self, method: str, repository: str, path: str, body: Mapping[str, str]) -> Any:
        url = f"/repositories/{repository}{path}"
        return await self._ask(
            lambda hub: hub.requester.requestJsonAndCheck(method, url, input=dict(body))[1], int(repository)
        )


def _json(hub: Github, path: str, parameters: Mapping[str, Any] | None = None) -> Any:
    return hub.requester.requestJsonAndCheck("GET", path, dict(parameters or {}))[1]


def _slug(client: GitHubClient) -> str:
    """Our App's name in addresses; blocking. An App says who it is to its own key only, not to an installation's."""
    from github import Auth, GithubIntegration

    from lanes.forge.github.faults import explain

    access = client.access
    assert access.app_id is not None
    assert access.app_key is not None
    key = Auth.AppAuth(access.app_id, access.app_key)
    try:
        with GithubIntegration(auth=key, base_url=access.api_url, timeout=15, retry=None) as integration:
            return str(integration.get_app().slug)
    except Exception as error:
        raise explain(error) from error


def _account(value: Any) -> GitHubAccount:
    found, login = positive_int(get_path(value, "id")), get_path(value, "login")
    if found is None or not isinstance(login, str):
        raise TransientError("github_garbled", "GitHub does not say who we are", "It is asked again.")
    return GitHubAccount(found, login)


def _ours(value: Any, me: GitHubAccount) -> OwnComment | None:
    found = positive_int(get_path(value, "id"))
    if found is None or get_path(value, "user", "id") != me.id:
        return None
    return OwnComment(found, clean_text(get_path(value, "body")))


def _comment(value: Any) -> WrittenComment | None:
    """A comment of a list: its addresses tell the conversation, and whether that is a pull request."""
    on_pull = "/pull/" in clean_text(get_path(value, "html_url")).partition("#")[0]
    return read_comment(CommentKind.COMMENT, value, _last(get_path(value, "issue_url")), on_pull=on_pull)


def _line(value: Any) -> WrittenComment | None:
    return read_comment(CommentKind.LINE, value, _last(get_path(value, "pull_request_url")), on_pull=True)


def _last(url: Any) -> int | None:
    number = clean_text(url).rpartition("/")[2]
    return int(number) if number.isascii() and number.isdecimal() and len(number) < 19 else None


def _gone(error: PermanentError) -> PermanentError:
    """There is no such conversation, or none any more."""
    return PermanentError("place_gone", error.problem.message, error.problem.mend, kind=error.problem.kind)


def _is_missing(error: CountersignError) -> bool:
    return error.problem.kind is ErrorKind.MISSING
