"""Translates errors of PyGithub and of the network into ours.

Sources: docs.github.com, "Troubleshooting the REST API" and "Rate limits for the REST API": a primary limit is
answered 403 or 429 with x-ratelimit-remaining 0 and x-ratelimit-reset; a secondary one with Retry-After, or with
neither, and then the client must wait at least a minute.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any, Final

import requests
from github import GithubException

from core.model.advice import CommandName, Suggestion, advise
from core.model.change import show_path
from core.model.errors import ConflictError, CountersignError, Kind, PermanentError, TransientError

DEFAULT_WAIT_S: Final = 60.0
"""The wait that GitHub requires after a secondary limit without a time."""
RATE_LIMIT: Final = "github_rate_limit"
_MAX_WAIT_S: Final = 3 * 3600.0
_LIMITED: Final = re.compile(r"rate limit|abuse detection|submitted too quickly", re.IGNORECASE)
_TOKEN: Final = re.compile(r"gh[a-z]_\w+|github_pat_\w+", re.IGNORECASE)
_SCHEME: Final = re.compile(r"\b(?:bearer|basic)\s+\S+", re.IGNORECASE)


class MovedError(Exception):
    """GitHub answered with a redirect: the repository was renamed."""


def is_refused_token(error: BaseException) -> bool:
    """True if GitHub refused the token."""
    return isinstance(error, GithubException) and error.status == 401


def explain(error: Exception) -> CountersignError:
    """The error to raise for an exception of PyGithub."""
    if isinstance(error, CountersignError):
        return error
    if isinstance(error, GithubException):
        return _explain_answer(error)
    if isinstance(error, MovedError):
        mend = "Give its new address in countersign.yaml, if it is still the right repository."
        return PermanentError("repository_moved", "The repository has a new name or owner at GitHub", mend)
    if isinstance(error, requests.RequestException | OSError):
        return TransientError("github_unreachable", f"GitHub cannot be reached ({type(error).__name__})", _RETRIED)
    if isinstance(error, ValueError):  # PyGithub could not read an incomplete answer as JSON
        return TransientError("github_garbled", "GitHub's answer cannot be read", _RETRIED)
    raise error


_RETRIED: Final = "Nothing is lost; Countersign tries again."


def _explain_answer(error: GithubException) -> CountersignError:
    status, reason = error.status, error_text(error)
    headers = {name.lower(): text for name, text in (error.headers or {}).items()}
    if status in (403, 429) and (wait_s := rate_limit_wait_s(status, headers, reason)) is not None:
        message = f"GitHub requires a wait of {wait_s:.0f} s"
        return TransientError(RATE_LIMIT, message, _RETRIED, retry_after_s=wait_s)
    if status >= 500 or status == 408:
        return TransientError("github_down", f"GitHub has an internal error ({status})", _RETRIED)
    if status == 401:
        steps = advise("Give a new token, or check the app's id and key; then ", Suggestion(CommandName.RETRY), ".")
        return PermanentError("github_token_refused", f"GitHub does not accept our token: {reason}", steps)
    if status == 403:
        mend = "The token or app needs read and write on contents, pull requests and commit statuses."
        return PermanentError("github_forbidden", f"GitHub does not permit this: {reason}", mend)
    if status in (404, 410, 451):
        mend = "It was removed or renamed, or our token has no access to it."
        return PermanentError("github_not_found", f"GitHub does not find it: {reason}", mend, kind=Kind.MISSING)
    if status == 409:
        return ConflictError("github_conflict", f"GitHub reports that it changed meanwhile: {reason}")
    return PermanentError("github_refused", f"GitHub refuses the request ({status}): {reason}")


def rate_limit_wait_s(status: int, headers: Mapping[str, str], reason: str) -> float | None:
    """The seconds to wait if an answer reports a rate limit; None if it does not."""
    after = headers.get("retry-after", "")
    if after.isdigit():
        return _bounded(float(after))
    if headers.get("x-ratelimit-remaining") == "0":
        try:
            reset_s = float(headers.get("x-ratelimit-reset", ""))
        except ValueError:
            return DEFAULT_WAIT_S
        return _bounded(reset_s - time.time() + 1)  # the time is by GitHub's clock, and ours is close enough
    if status == 429 or _LIMITED.search(reason):
        return DEFAULT_WAIT_S
    return None


def _bounded(wait_s: float) -> float:
    return min(max(wait_s, 1.0), _MAX_WAIT_S)


def error_text(error: GithubException) -> str:
    """GitHub's message and errors in one line, without control characters and tokens."""
    value: Any = error.data
    if not isinstance(value, dict):
        return "no reason given"
    errors = value.get("errors")
    details = [_detail(item) for item in errors] if isinstance(errors, list) else []
    text = ": ".join(part for part in (str(value.get("message") or ""), "; ".join(details)) if part)
    scrubbed = _SCHEME.sub("[withheld]", without_tokens(" ".join(text.split())))
    return show_path(scrubbed[:300].encode("utf-8", "replace")) or "no reason given"


def without_tokens(text: str) -> str:
    """`text` with everything that has the form of a GitHub token replaced."""
    return _TOKEN.sub("[withheld]", text)


def _detail(item: Any) -> str:
    if not isinstance(item, dict):
        return str(item)
    return str(item.get("message") or f"{item.get('resource')}.{item.get('field')} {item.get('code')}")
