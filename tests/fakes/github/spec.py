"""GitHub's own description of its interface, cut to what is used here, and every exchange held against it."""

from __future__ import annotations

import functools
import hashlib
import json
import re
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.counterparts import package

if TYPE_CHECKING:
    from openapi_core import OpenAPI

    from tests.fakes.github.rest import Reply, Request

_SERVER = "http://github.invalid"
_GAPS = (("POST", re.compile(r"/repos/[^/]+/[^/]+/issues/\d+/labels")),)
"""Requests that GitHub takes and its description does not know: labels as a bare array.

Two more are mended in the cut: what it calls nullable is listed by its words or its kinds without null; and in
the list of an app's installations, an account is said to be a user and an enterprise at once.
"""


@functools.cache
def description(templates: tuple[str, ...]) -> dict[str, Any]:
    """The description of these paths alone, kept beside the package from one run to the next."""
    folder = package("@octokit/openapi")
    wanted = sorted(templates)
    kept = folder / f"cut-{len(wanted)}-{_name(wanted)}.json"
    if kept.exists():
        read: dict[str, Any] = json.loads(kept.read_bytes())
        return read
    whole = json.loads((folder / "generated" / "api.github.com.json").read_bytes())
    cut = _cut(whole, wanted)
    with tempfile.NamedTemporaryFile("w", dir=folder, delete=False, suffix=".new") as new:
        json.dump(cut, new)
    Path(new.name).rename(kept)
    return cut


def _name(wanted: Iterable[str]) -> str:
    """Changes with the paths, and with how we cut."""
    return hashlib.sha256("\n".join([*wanted, Path(__file__).read_text()]).encode()).hexdigest()[:12]


def _cut(whole: dict[str, Any], wanted: list[str]) -> dict[str, Any]:
    cut: dict[str, Any] = {
        "openapi": whole["openapi"],
        "info": {"title": "GitHub", "version": whole["info"]["version"]},
        "servers": [{"url": _SERVER}],
        "paths": {template: whole["paths"][template] for template in wanted},
        "components": {},
    }
    pending: list[Any] = [cut["paths"]]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending += value
        elif isinstance(value, dict):
            if "schema" in value:
                value.pop("examples", None)
            if value.get("nullable") is True and None not in value.get("enum", [None]):
                value["enum"] = [*value["enum"], None]
            for either in ("anyOf", "oneOf"):
                if value.get("nullable") is True and either in value:
                    value[either] = [*value[either], {"type": "object", "nullable": True, "enum": [None]}]
            if [part.get("title") for part in value.get("allOf", [])] == ["Simple User", "Enterprise"]:
                value["anyOf"] = value.pop("allOf")
            pending += value.values()
            target = value.get("$ref")
            if isinstance(target, str):
                _, _, kind, name = target.split("/")
                part = cut["components"].setdefault(kind, {})
                if name not in part:
                    part[name] = whole["components"][kind][name]
                    pending.append(part[name])
    return cut


@functools.cache
def _checker(templates: tuple[str, ...]) -> OpenAPI:
    from openapi_core import OpenAPI

    return OpenAPI.from_dict(description(templates))


class Audit:
    """Holds requests and replies against the description; `violations` says what did not fit."""

    def __init__(self, templates: Iterable[str]) -> None:
        self._templates = tuple(sorted(set(templates)))
        self._lock = threading.Lock()
        self.violations: list[str] = []
        description(self._templates)

    def note(self, said: str) -> None:
        """Record something that GitHub would not do, or not take."""
        self.violations.append(said)

    def check(self, request: Request, path: str, reply: Reply) -> None:
        """Validate one exchange; `path` is how the description spells the request's."""
        from openapi_core.testing import MockRequest, MockResponse

        where = f"{request.method} {path}"
        with self._lock:
            checker = _checker(self._templates)
            asked = MockRequest(
                _SERVER,
                request.method.lower(),
                path,
                args=request.query,
                headers=request.headers,
                data=request.raw or None,
                content_type=request.headers.get("content-type", "application/json").split(";")[0],
            )
            if not any(method == request.method and pattern.fullmatch(path) for method, pattern in _GAPS):
                self._try(f"request {where}", lambda: checker.validate_request(asked))
            if reply.status >= 400:
                if not isinstance(reply.value, dict) or "message" not in reply.value:
                    self.note(f"response {where} {reply.status}: an error without a message")
                return
            if reply.status in (301, 304, 307):
                return
            said = MockResponse(reply.body(), reply.status, content_type="application/json; charset=utf-8")
            self._try(f"response {where} {reply.status}", lambda: checker.validate_response(asked, said))

    def _try(self, where: str, work: Any) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - whatever openapi-core objects to is what the test wants to see
            causes = getattr(error.__cause__, "schema_errors", None) or ()
            told = "; ".join(f"{'/'.join(map(str, e.absolute_path))}: {e.message[:200]}" for e in causes)
            self.note(f"{where}: {type(error).__name__}: {told or str(error.__cause__ or error)[:400]}")
