"""Translates Slack's errors: what may pass, what is over for a conversation, what needs the operator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError

from core.log import redact
from core.model.errors import PermanentError, TransientError

_TOKEN_ERRORS: Final = frozenset(
    (
        *("invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive"),
        *("no_permission", "org_login_required", "ekm_access_denied", "access_denied", "not_allowed_token_type"),
        *("team_access_not_granted", "invalid_app_token", "two_factor_setup_required"),
    )
)
_GONE_ERRORS: Final = frozenset(
    (
        *("channel_not_found", "is_archived", "not_in_channel"),
        *("cannot_dm_bot", "user_disabled", "messages_tab_disabled", "restricted_action", "thread_locked"),
        *("restricted_action_read_only_channel", "restricted_action_thread_only_channel", "team_not_found"),
    )
)
_TRANSIENT_ERRORS: Final = frozenset(
    (
        *("internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"),
        *("accesslimited", "external_service_migration_in_progress", "message_limit_exceeded"),
    )
)
_RETRY_S: Final = 30.0
"""The wait if Slack limits without naming a time, which it always should.

https://docs.slack.dev/apis/web-api/rate-limits
"""
_INVITE: Final = "Invite the bot there again, or ask in another channel."


@contextmanager
def translate_errors(method: str) -> Iterator[None]:
    """Raise `TransientError` or `PermanentError` for errors of slack_sdk and aiohttp; names `method`."""
    try:
        yield
    except SlackApiError as error:
        raise _translate(method, error) from error
    except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
        message = f"Slack did not answer {method} ({type(error).__name__})"
        raise TransientError("slack_unreachable", message, "Countersign tries again.") from error


def error_code(error: BaseException | None) -> str:
    """Slack's own error code, such as ``message_not_found``; empty if there is none."""
    cause = error.__cause__ if error is not None else None
    return _code_of(cause) if isinstance(cause, SlackApiError) else ""


def retry_after_s(headers: Any) -> float:
    """The seconds of a ``Retry-After`` header."""
    try:
        return max(1.0, float((headers or {}).get("Retry-After", _RETRY_S)))
    except (TypeError, ValueError):
        return _RETRY_S


def _code_of(error: SlackApiError) -> str:
    data = getattr(error.response, "data", error.response)
    code = data.get("error") if isinstance(data, dict) else None
    return redact(code)[:80] if isinstance(code, str) else ""


def _translate(method: str, error: SlackApiError) -> TransientError | PermanentError:
    code = _code_of(error)
    status = int(getattr(error.response, "status_code", 0) or getattr(error.response, "status", 0) or 0)
    if code in ("ratelimited", "rate_limited") or status == 429:
        wait_s = retry_after_s(getattr(error.response, "headers", None))
        return TransientError(
            "slack_limit", f"Slack limits {method}", "Countersign continues by itself.", retry_after_s=wait_s
        )
    if code in _TRANSIENT_ERRORS or status >= 500 or not code:
        detail = code or f"status {status}"
        return TransientError("slack_down", f"Slack could not do {method}: {detail}", "Countersign tries again.")
    return _permanent(method, code, error)


def _permanent(method: str, code: str, error: SlackApiError) -> PermanentError:
    if code in _TOKEN_ERRORS:
        mend = "Install the app again, and configure its new tokens."
        return PermanentError("slack_token", f"Slack no longer accepts the token: {code}", mend)
    if code in _GONE_ERRORS:
        return PermanentError("place_gone", f"The bot can no longer reach that conversation: {code}", _INVITE)
    if code == "missing_scope":
        needed = redact(str(getattr(error.response, "data", {}).get("needed", "")))[:200]
        mend = "Give the app the scopes of deploy/slack-manifest.yaml and install it again."
        return PermanentError("slack_scope", f"{method} needs another scope: {needed}", mend)
    return PermanentError(
        "slack_refused", f"Slack refused {method}: {code}", "See https://docs.slack.dev/reference/methods."
    )
