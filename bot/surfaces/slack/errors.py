"""Slack's refusals, in our words: what may pass, what is over for a conversation, what needs the operator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError

from core.log import redact
from core.model.errors import PermanentError, TransientError

_TOKEN: Final = frozenset(
    (
        *("invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive"),
        *("no_permission", "org_login_required", "ekm_access_denied", "access_denied", "not_allowed_token_type"),
        *("team_access_not_granted", "invalid_app_token", "two_factor_setup_required"),
    )
)
_GONE: Final = frozenset(
    (
        *("channel_not_found", "is_archived", "not_in_channel"),
        *("cannot_dm_bot", "user_disabled", "messages_tab_disabled", "restricted_action", "thread_locked"),
        *("restricted_action_read_only_channel", "restricted_action_thread_only_channel", "team_not_found"),
    )
)
_PASSING: Final = frozenset(
    (
        *("internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"),
        *("accesslimited", "external_service_migration_in_progress", "message_limit_exceeded"),
    )
)
_RETRY_S: Final = 30.0
"""How long to wait where Slack limits without saying how long; it always should.

https://docs.slack.dev/apis/web-api/rate-limits
"""
_INVITE: Final = "Invite the bot there again, or ask in another channel."


@contextmanager
def translate_errors(method: str) -> Iterator[None]:
    """Raise `TransientError` or `PermanentError` for what slack_sdk and aiohttp raise; names `method`, no secret."""
    try:
        yield
    except SlackApiError as error:
        raise _fault(method, error) from error
    except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
        told = f"Slack did not answer {method} ({type(error).__name__})"
        raise TransientError("slack_unreachable", told, "It is tried again.") from error


def error_code(error: BaseException | None) -> str:
    """Slack's own word for what went wrong, such as ``message_not_found``; empty where it said none."""
    cause = error.__cause__ if error is not None else None
    return _word(cause) if isinstance(cause, SlackApiError) else ""


def retry_after_s(headers: Any) -> float:
    """The seconds that a ``Retry-After`` header asks for."""
    try:
        return max(1.0, float((headers or {}).get("Retry-After", _RETRY_S)))
    except (TypeError, ValueError):
        return _RETRY_S


def _word(error: SlackApiError) -> str:
    found = getattr(error.response, "data", error.response)
    word = found.get("error") if isinstance(found, dict) else None
    return redact(word)[:80] if isinstance(word, str) else ""


def _fault(method: str, error: SlackApiError) -> TransientError | PermanentError:
    word = _word(error)
    status = int(getattr(error.response, "status_code", 0) or getattr(error.response, "status", 0) or 0)
    if word in ("ratelimited", "rate_limited") or status == 429:
        wait_s = retry_after_s(getattr(error.response, "headers", None))
        return TransientError("slack_limit", f"Slack limits {method}", "It goes on by itself.", retry_after_s=wait_s)
    if word in _PASSING or status >= 500 or not word:
        said = word or f"status {status}"
        return TransientError("slack_down", f"Slack could not do {method}: {said}", "It is tried again.")
    return _refusal(method, word, error)


def _refusal(method: str, word: str, error: SlackApiError) -> PermanentError:
    if word in _TOKEN:
        mend = "Install the app again and give countersign its new tokens."
        return PermanentError("slack_token", f"Slack no longer takes our token: {word}", mend)
    if word in _GONE:
        return PermanentError("place_gone", f"Slack has no way into that conversation any more: {word}", _INVITE)
    if word == "missing_scope":
        needed = redact(str(getattr(error.response, "data", {}).get("needed", "")))[:200]
        mend = "Give the app the scopes of deploy/slack-manifest.yaml and install it again."
        return PermanentError("slack_scope", f"Slack wants another scope for {method}: {needed}", mend)
    return PermanentError(
        "slack_refused", f"Slack refused {method}: {word}", "See https://docs.slack.dev/reference/methods."
    )
