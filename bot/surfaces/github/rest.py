"""`CommentsClient` over GitHub's REST API, through the client that everything at GitHub shares.

Repositories are addressed by number, which stays the same through renames and transfers (security.md 71).
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
"""Pages read per list, which covers a conversation of 5,000 comments."""
_PULLS: Final = 200
"""Open pull requests, latest changes first, whose reviews a catch-up reads."""
_APP_TIMEOUT_S: Final = 30.0
_PARTS: Final = {CommentKind.COMMENT: "issues", CommentKind.LINE: "pulls"}


@dataclass(slots=True)
class RestCommentsClient:
    """`CommentsClient` for the GitHub that `client` reaches."""

    client: GitHubClient
    _account: GitHubAccount | None = None
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def account(self, repository: str) -> GitHubAccount:
        """The token's account, or the App's own ``slug[bot]``."""
        async with self._asking:
            if self._account is None:
                path = "/user" if self.client.access.token is not None else f"/users/{await self._app_login()}"
                self._account = _parse_account(await self._ask(lambda hub: _json(hub, path), int(repository)))
            return self._account

    async def repository(self, repository: str) -> str:
        """The repository's current full name."""
        return (await self.client.repository(int(repository)))[1]

    async def login(self, repository: str, person: int) -> str | None:
        """Fetched each time, by number."""
        try:
            return (await self.client.permission(int(repository), person)).login
        except CountersignError as error:
            if _is_missing(error):
                return None
            raise

    async def may_write(self, repository: str, person: int) -> bool:
        """Fetched each time: write, maintain or admin, or an organisation's own role that can write."""
        try:
            return (await self.client.permission(int(repository), person)).may_write
        except CountersignError as error:
            if _is_missing(error):
                return False
            raise

    async def post(self, repository: str, number: int, body: str) -> int:
        """Write a comment; returns its id."""
        try:
            created = await self._send("POST", repository, f"/issues/{number}/comments", {"body": body})
        except PermanentError as error:
            if _is_missing(error):
                raise _gone(error) from error
            raise
        return int(created["id"])

    async def own_comment(self, repository: str, comment: int) -> OwnComment | None:
        """A comment by its id; None if it is gone or not ours."""
        value = await self._get(repository, f"/issues/comments/{comment}")
        return _own(value, await self.account(repository))

    async def edit(self, repository: str, comment: int, body: str) -> bool:
        """Change one of our comments; returns false if it is gone."""
        try:
            await self._send("PATCH", repository, f"/issues/comments/{comment}", {"body": body})
        except PermanentError as error:
            if _is_missing(error):
                return False
            raise
        return True

    async def find_own(self, repository: str, number: int, marker: str) -> OwnComment | None:
        """Our newest comment there that begins with `marker`."""
        account = await self.account(repository)
        newest = None
        for value in await self._list(repository, f"/issues/{number}/comments"):
            own = _own(value, account)
            if own is not None and own.body.startswith(marker):
                newest = own
        return newest

    async def react(self, repository: str, kind: CommentKind, comment: int) -> None:
        """React with eyes; GitHub counts the same reaction once."""
        try:
            await self._send("POST", repository, f"/{_PARTS[kind]}/comments/{comment}/reactions", {"content": "eyes"})
        except PermanentError as error:
            if not _is_missing(error):
                raise

    async def comment(self, repository: str, kind: CommentKind, comment: int) -> WrittenComment | None:
        """A comment or a line comment in its current form."""
        value = await self._get(repository, f"/{_PARTS[kind]}/comments/{comment}")
        return _line(value) if kind is CommentKind.LINE else _comment(value)

    async def review(self, repository: str, number: int, review: int) -> GitHubReview | None:
        """A submitted review with its line comments in order."""
        value = await self._get(repository, f"/pulls/{number}/reviews/{review}")
        submitted = read_comment(CommentKind.REVIEW, value, number, on_pull=True)
        if submitted is None:
            return None
        lines = map(_line, await self._list(repository, f"/pulls/{number}/comments"))
        return GitHubReview(submitted, tuple(line for line in lines if line and line.review_id == review))

    async def recent_comments(self, repository: str, since: datetime) -> Sequence[WrittenComment]:
        """Comments of any conversation, and reviews and line comments of open pull requests, changed since then."""
        since_text = f"{since:%Y-%m-%dT%H:%M:%SZ}"
        parameters = {"since": since_text, "sort": "updated", "direction": "asc"}
        comments = [_comment(value) for value in await self._list(repository, "/issues/comments", parameters)]
        for number in await self._changed_pulls(repository, since_text):
            reviews = [
                read_comment(CommentKind.REVIEW, value, number, on_pull=True)
                for value in await self._list(repository, f"/pulls/{number}/reviews")
            ]
            published = {review.id: review.published_at for review in reviews if review is not None}
            comments += [review for review in reviews if review is not None and review.published_at >= since]
            if not any(published_at >= since for published_at in published.values()):
                continue
            for value in await self._list(repository, f"/pulls/{number}/comments", {"since": since_text}):
                line = _line(value)
                if line is not None and line.review_id in published:
                    comments.append(replace(line, published_at=max(line.published_at, published[line.review_id])))
        return [comment for comment in comments if comment is not None]

    async def _changed_pulls(self, repository: str, since_text: str) -> list[int]:
        parameters = {"state": "open", "sort": "updated", "direction": "desc"}
        pulls = await self._list(repository, "/pulls", parameters, limit=_PULLS)
        numbers = [
            positive_int(get_path(pull, "number"))
            for pull in pulls
            if clean_text(get_path(pull, "updated_at")) >= since_text
        ]
        return [number for number in numbers if number is not None]

    async def _app_login(self) -> str:
        try:
            async with asyncio.timeout(_APP_TIMEOUT_S):
                return f"{await asyncio.to_thread(_slug, self.client)}[bot]"
        except TimeoutError as error:
            raise TransientError("github_timeout", f"GitHub took longer than {_APP_TIMEOUT_S:g} s") from error

    async def _ask(self, fn: Callable[[Github], Any], repository: int) -> Any:
        return await self.client.call(fn, repository)

    async def _get(self, repository: str, path: str) -> Any:
        """The JSON at a path below a repository; None if it does not exist."""
        try:
            return await self._ask(lambda hub: _json(hub, f"/repositories/{repository}{path}"), int(repository))
        except PermanentError as error:
            if _is_missing(error):
                return None
            raise

    async def _list(
        self, repository: str, path: str, filters: Mapping[str, str] | None = None, limit: int = _PAGES * _PAGE
    ) -> list[Any]:
        def pages(hub: Github) -> Iterator[Any]:
            for page in range(1, -(-limit // _PAGE) + 1):
                parameters = {**(filters or {}), "per_page": _PAGE, "page": page}
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
    """The App's name in URLs; blocking. Only the App's own key can ask for it, not an installation's token."""
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


def _parse_account(value: Any) -> GitHubAccount:
    user_id, login = positive_int(get_path(value, "id")), get_path(value, "login")
    if user_id is None or not isinstance(login, str):
        raise TransientError("github_garbled", "GitHub does not identify the bot's account", "Countersign asks again.")
    return GitHubAccount(user_id, login)


def _own(value: Any, account: GitHubAccount) -> OwnComment | None:
    comment_id = positive_int(get_path(value, "id"))
    if comment_id is None or get_path(value, "user", "id") != account.id:
        return None
    return OwnComment(comment_id, clean_text(get_path(value, "body")))


def _comment(value: Any) -> WrittenComment | None:
    """A comment from a list: its URLs tell the conversation, and whether that is a pull request."""
    on_pull = "/pull/" in clean_text(get_path(value, "html_url")).partition("#")[0]
    return read_comment(CommentKind.COMMENT, value, _trailing_number(get_path(value, "issue_url")), on_pull=on_pull)


def _line(value: Any) -> WrittenComment | None:
    return read_comment(CommentKind.LINE, value, _trailing_number(get_path(value, "pull_request_url")), on_pull=True)


def _trailing_number(url: Any) -> int | None:
    number = clean_text(url).rpartition("/")[2]
    return int(number) if number.isascii() and number.isdecimal() and len(number) < 19 else None


def _gone(error: PermanentError) -> PermanentError:
    """The conversation does not exist, or no longer."""
    return PermanentError("place_gone", error.problem.message, error.problem.mend, kind=error.problem.kind)


def _is_missing(error: CountersignError) -> bool:
    return error.problem.kind is ErrorKind.MISSING
