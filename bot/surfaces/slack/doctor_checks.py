"""The checks of Slack that `doctor` runs: the token, its workspace, the scopes, the channels, the socket."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import aiohttp

from bot.surfaces.port import SlackConfig
from bot.surfaces.slack import socket
from bot.surfaces.slack.api import SlackApi
from bot.surfaces.slack.errors import translate_errors
from core.model.errors import CountersignError

SCOPES: Final = (
    *("app_mentions:read", "channels:history", "channels:read", "chat:write", "commands", "files:write"),
    *("groups:history", "groups:read", "im:history", "im:write", "reactions:write", "users:read"),
)
"""The scopes of deploy/slack-manifest.yaml, and no others."""
_TIMEOUT_S: Final = 10.0

_Row = Mapping[str, Any]


async def check_slack(api: SlackApi, config: SlackConfig) -> Sequence[_Row]:
    """One row per requirement; an error is a row as well."""
    rows = [*await _token(api, config)]
    if rows[0]["verdict"] != "ok":
        return rows
    rows += [await _channel(api, channel) for channel in sorted(config.channels)]
    if config.app_token is not None:
        rows.append(await _socket(api, config.app_token))
    if config.signing_secret is not None:
        rows.append(_row("slack http", "ok", "a signing secret is set; Slack tests the addresses when you save them"))
    return rows


async def _token(api: SlackApi, config: SlackConfig) -> Sequence[_Row]:
    try:
        answer = await api.get("auth.test", {}, timeout_s=_TIMEOUT_S)
    except CountersignError as error:
        return [_fault("slack token", error)]
    team = answer.data.get("team_id")
    if team != config.team:
        mend = "Set the team to the workspace in which the app is installed."
        return [_row("slack token", "fail", f"the token is for workspace {team}, not {config.team}", mend)]
    token = _row("slack token", "ok", f"{answer.data.get('user')} in {answer.data.get('team')} ({team})")
    granted = {scope.strip() for scope in answer.headers.get("x-oauth-scopes", "").split(",")}
    missing = [scope for scope in SCOPES if scope not in granted]
    if missing:
        mend = "Give the app the scopes of deploy/slack-manifest.yaml and install it again."
        check_slack = [token, _row("slack scopes", "fail", f"missing: {', '.join(missing)}", mend)]
        history = [scope for scope in missing if scope.endswith(":history")]
        consequence = f"messages sent while the bot is disconnected are lost without {', '.join(history)}"
        return [*check_slack, _row("slack catching up", "warn", consequence, mend)] if history else check_slack
    return [token, _row("slack scopes", "ok", f"all {len(SCOPES)} are granted")]


async def _channel(api: SlackApi, channel: str) -> _Row:
    check = f"slack channel {channel}"
    try:
        answer = await api.get("conversations.info", {"channel": channel}, timeout_s=_TIMEOUT_S)
    except CountersignError as error:
        return _fault(check, error)
    info = answer.data.get("channel", {})
    if info.get("is_archived"):
        return _row(check, "fail", "it is archived", "Remove it from the configuration.")
    if not info.get("is_member"):
        return _row(check, "warn", "the bot is not in it", "Invite the bot there.")
    return _row(check, "ok", f"#{info.get('name', '')}")


async def _socket(api: SlackApi, app_token: str) -> _Row:
    """Open a connection and wait for Slack's hello; nothing is delivered on it before it is closed."""
    try:
        url = await socket.open_connection_url(api, app_token)
        with translate_errors("Socket Mode"):
            async with (
                asyncio.timeout(_TIMEOUT_S),
                aiohttp.ClientSession() as session,
                session.ws_connect(url, proxy=api.client.proxy) as connection,
            ):
                hello = await connection.receive_json()
    except CountersignError as error:
        return _fault("slack socket", error)
    except (TypeError, ValueError):
        return _row("slack socket", "fail", "Slack closed it immediately", "Turn Socket Mode on in the app's settings.")
    return _row("slack socket", "ok" if hello.get("type") == "hello" else "warn", str(hello.get("type", "")))


def _fault(check: str, error: CountersignError) -> _Row:
    return _row(check, "fail", error.problem.message, str(error.problem.mend))


def _row(check: str, verdict: str, detail: str, mend: str = "") -> _Row:
    return {"check": check, "verdict": verdict, "detail": detail, "mend": mend}
