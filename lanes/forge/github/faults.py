"""What GitHub's refusals mean: one place that turns PyGithub's and the network's errors into ours.

Sources: docs.github.com, "Troubleshooting the REST API" and "Rate limits for the REST API": a primary limit answers
403 or 429 with x-ratelimit-remaining 0 and x-ratelimit-reset; a secondary one with Retry-After, or with neither and
then one waits at least a minute.
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

WAIT_S: Final = 60.0
"""How long GitHub asks to wait after a secondary limit that names no time."""
RATE_LIMIT: Final = "github_rate_limit"
_LONGEST_S: Final = 3 * 3600.0
_LIMITED: Final = re.compile(r"rate limit|abuse detection|submitted too quickly", re.IGNORECASE)
_TOKEN: Final = re.compile(r"gh[a-z]_\w+|github_pat_\w+", re.IGNORECASE)
_SCHEME: Final = re.compile(r"\b(?:bearer|basic)\s+\S+", re.IGNORECASE)


class MovedError(Exception):
    """GitHub answered with a redirect: the repository has another name now."""


def is_refused_token(error: BaseException) -> bool:
    """Whether GitHub does not know the token (any more)."""
    return isinstance(error, GithubException) and error.status == 401


def explain(error: Exception) -> CountersignError:
    """The error to raise for what came out of PyGithub."""
    if isinstance(error, CountersignError):
        return error
    if isinstance(error, GithubException):
        return _answered(error)
    if isinstance(error, MovedError):
        mend = "Give its new address in countersign.yaml, if it is still the one that is meant."
        return PermanentError("repository_moved", "The repository has another name or owner at GitHub now", mend)
    if isinstance(error, requests.RequestException | OSError):
        return TransientError("github_unreachable", f"GitHub cannot be reached ({type(error).__name__})", _WAITS)
    if isinstance(error, ValueError):  # half an answer: PyGithub could not read the JSON
        return TransientError("github_garbled", "GitHub's answer cannot be read", _WAITS)
    raise error


_WAITS: Final = "Nothing is lost; it is tried again."


def _answered(error: GithubException) -> CountersignError:
    status, said = error.status, words(error)
    headers = {name.lower(): text for name, text in (error.headers or {}).items()}
    if status in (403, 429) and (wait_s := limited_s(status, headers, said)) is not None:
        message = f"GitHub asks us to wait {wait_s:.0f} s"
        return TransientError(RATE_LIMIT, message, _WAITS, retry_after_s=wait_s)
    if status >= 500 or status == 408:
        return TransientError("github_down", f"GitHub has a fault of its own ({status})", _WAITS)
    if status == 401:
        again = advise("Give a new token, or check the app's id and key; then ", Suggestion(CommandName.RETRY), ".")
        return PermanentError("github_token_refused", f"GitHub does not take our token: {said}", again)
    if status == 403:
        mend = "The token or app needs read and write on contents, pull requests and commit statuses."
        return PermanentError("github_forbidden", f"GitHub does not let us do that: {said}", mend)
    if status in (404, 410, 451):
        mend = "It was removed, renamed, or our token may not see it."
        return PermanentError("github_not_found", f"GitHub has no such thing for us: {said}", mend, kind=Kind.MISSING)
    if status == 409:
        return ConflictError("github_conflict", f"GitHub says that it changed meanwhile: {said}")
    return PermanentError("github_refused", f"GitHub refuses it ({status}): {said}")


def limited_s(status: int, headers: Mapping[str, str], said: str) -> float | None:
    """How long to wait when an answer is about a limit, None when it is not."""
    after = headers.get("retry-after", "")
    if after.isdigit():
        return _bounded(float(after))
    if headers.get("x-ratelimit-remaining") == "0":
        try:
            reset_s = float(headers.get("x-ratelimit-reset", ""))
        except ValueError:
            return WAIT_S
        return _bounded(reset_s - time.time() + 1)  # GitHub's clock is the one that counts; ours is near enough
    if status == 429 or _LIMITED.search(said):
        return WAIT_S
    return None


def _bounded(wait_s: float) -> float:
    return min(max(wait_s, 1.0), _LONGEST_S)


def words(error: GithubException) -> str:
    """What GitHub said, in one harmless line: message and errors, without anything like a token."""
    value: Any = error.data
    if not isinstance(value, dict):
        return "no reason given"
    errors = value.get("errors")
    details = [_detail(item) for item in errors] if isinstance(errors, list) else []
    text = ": ".join(part for part in (str(value.get("message") or ""), "; ".join(details)) if part)
    scrubbed = _SCHEME.sub("[withheld]", without_tokens(" ".join(text.split())))
    return show_path(scrubbed[:300].encode("utf-8", "replace")) or "no reason given"


def without_tokens(text: str) -> str:
    """`text` without what has the form of one of GitHub's tokens."""
    return _TOKEN.sub("[withheld]", text)


def _detail(item: Any) -> str:
    if not isinstance(item, dict):
        return str(item)
    return str(item.get("message") or f"{item.get('resource')}.{item.get('field')} {item.get('code')}")
