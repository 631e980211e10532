"""The words between the fake's HTTP side and its routes: requests, replies, errors, pages, the table of routes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.fakes.github.server import FakeGitHub
    from tests.fakes.github.state import App, Token

DOCS = "https://docs.github.com/rest"


@dataclass
class Request:
    """One request to the REST interface; `path` is without the prefix of an Enterprise server."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    raw: bytes
    token: Token | None = None
    app: App | None = None
    params: dict[str, str] = field(default_factory=dict)

    @property
    def json(self) -> dict[str, Any]:
        """The body, which must be an object where one is needed."""
        try:
            value = json.loads(self.raw or b"{}")
        except ValueError as error:
            raise ApiError(400, "Problems parsing JSON") from error
        return value if isinstance(value, dict) else {"labels": value}

    @property
    def login(self) -> str:
        """Who asks."""
        assert self.token is not None
        return self.token.login


@dataclass
class Reply:
    """An answer; `value` is what its JSON holds, None for an empty body."""

    status: int = 200
    value: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    def body(self) -> bytes:
        """The bytes of the body."""
        return b"" if self.value is None else json.dumps(self.value, separators=(",", ":")).encode()


class ApiError(Exception):
    """An error that GitHub answers with: its status and message."""

    def __init__(self, status: int, message: str, errors: Sequence[Any] | None = None, **headers: str) -> None:
        super().__init__(message)
        value: dict[str, Any] = {"message": message, "documentation_url": DOCS, "status": str(status)}
        if errors is not None:
            value["errors"] = list(errors)
        self.reply = Reply(status, value, {name.replace("_", "-"): text for name, text in headers.items()})


def invalid(resource: str, message: str = "", *, field: str = "", code: str = "custom") -> ApiError:
    """A 422, as GitHub words it."""
    error = {"resource": resource, "code": code}
    error |= {"message": message} if message else {}
    error |= {"field": field} if field else {}
    return ApiError(422, "Validation ApiError", [error])


Route = Callable[["FakeGitHub", Request], Reply]


@dataclass(frozen=True)
class _Entry:
    method: str
    template: str
    pattern: re.Pattern[str]
    work: Route


class Routes:
    """The table of routes of one module."""

    def __init__(self) -> None:
        self.entries: list[_Entry] = []

    def at(self, method: str, template: str) -> Callable[[Route], Route]:
        """Register a function for a path as GitHub's description writes it."""
        parts = re.split(r"\{(\w+)\}", template)
        pattern = "".join(re.escape(p) if n % 2 == 0 else f"(?P<{p}>{_form(p)})" for n, p in enumerate(parts))

        def register(work: Route) -> Route:
            self.entries.append(_Entry(method, template, re.compile(pattern), work))
            self.entries.sort(key=lambda entry: entry.template.count("{"))  # what is spelled out goes before any name
            return work

        return register


def _form(name: str) -> str:
    """What may stand for a parameter: ``issues/comments`` is no issue called comments."""
    if name == "ref":
        return ".+"
    return "[0-9]+" if name.endswith(("_number", "_id")) else "[^/]+"


def find(tables: Sequence[Routes], request: Request) -> tuple[str, Route] | None:
    """The route for a request and the template it has in GitHub's description; fills in the request's params."""
    for table in tables:
        for entry in table.entries:
            if entry.method == request.method and (match := entry.pattern.fullmatch(request.path)):
                request.params = match.groupdict()
                return entry.template, entry.work
    return None


def paged(request: Request, values: Sequence[Any], wrap: Callable[[list[Any]], Any] | None = None) -> Reply:
    """One page of a list, with the Link header that leads to the others."""
    size = min(100, max(1, int(request.query.get("per_page", "30"))))
    page = max(1, int(request.query.get("page", "1")))
    part = list(values[(page - 1) * size : page * size])
    last = max(1, -(-len(values) // size))
    links = []
    if page < last:
        links = [
            f'<{{url}}page={page + 1}&per_page={size}>; rel="next"',
            f'<{{url}}page={last}&per_page={size}>; rel="last"',
        ]
    headers = {"Link": ", ".join(links)} if links else {}
    return Reply(200, wrap(part) if wrap else part, headers)
