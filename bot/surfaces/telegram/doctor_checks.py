"""The checks of Telegram that `countersign doctor` runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.cards.safe import one_line
from bot.surfaces.port import TelegramConfig
from bot.surfaces.telegram.client import TelegramClient
from bot.surfaces.telegram.update_parts import UnreadableUpdateError, optional_int, required_int, text_at
from core.model.errors import CountersignError

_Row = dict[str, Any]


async def check_telegram(wire: TelegramClient, config: TelegramConfig) -> Sequence[_Row]:
    """Rows about the token, privacy mode, the webhook and each group; asks Telegram.

    An answer that differs from Telegram's documentation produces a separate row.
    """
    try:
        me = await wire.get("getMe")
        rows = [_row("telegram", "ok", f"@{text_at(me, 'username')} (id {required_int(me, 'id')})")]
    except CountersignError as error:
        return [_row("telegram", "fail", error.problem.message, str(error.problem.mend))]
    except UnreadableUpdateError as error:
        return [_unreadable("telegram", error)]
    if me.get("can_read_all_group_messages"):
        mend = "@BotFather /setprivacy Enable, then add the bot to its groups again."
        rows.append(_row("telegram privacy", "warn", "privacy mode is off: the bot receives every group message", mend))
    else:
        rows.append(_row("telegram privacy", "ok", "on: the bot receives only commands, mentions and replies"))
    rows.append(await _webhook(wire, config))
    rows.extend([await _group(wire, chat) for chat in config.chats])
    if not config.chats:
        rows.append(_row("telegram groups", "ok", "none listed: the bot answers in private chats only"))
    return rows


async def _webhook(wire: TelegramClient, config: TelegramConfig) -> _Row:
    name = "telegram webhook"
    try:
        info = await wire.get("getWebhookInfo")
        url, last_error = text_at(info, "url"), text_at(info, "last_error_message")
        pending = f"{optional_int(info, 'pending_update_count') or 0} updates pending"
    except CountersignError as error:
        return _row(name, "fail", error.problem.message, str(error.problem.mend))
    except UnreadableUpdateError as error:
        return _unreadable(name, error)
    if config.webhook_url is None:
        if url:
            return _row(name, "warn", "a webhook is set; polling will remove it", "Set webhook_url to keep it.")
        return _row(name, "ok", f"none, polling; {pending}")
    if not url.startswith(config.webhook_url):
        return _row(name, "warn", "not set yet, or set by another program", "Start `countersign serve`.")
    if last_error:
        mend = "Telegram must reach the address over HTTPS on port 443, 80, 88 or 8443."
        return _row(name, "warn", f"{one_line(last_error, 200)}; {pending}", mend)
    return _row(name, "ok", f"set; {pending}")


async def _group(wire: TelegramClient, chat: str) -> _Row:
    name = f"telegram group {chat}"
    try:
        info = await wire.get("getChat", chat_id=int(chat))
        return _row(name, "ok", one_line(text_at(info, "title"), 80))
    except UnreadableUpdateError as error:
        return _unreadable(name, error)
    except ValueError:
        return _row(name, "fail", "not a group id", "A group id is a negative number.")
    except CountersignError as error:
        return _row(name, "fail", error.problem.message, "Add the bot to the group; check the id.")


def _unreadable(check_telegram: str, error: UnreadableUpdateError) -> _Row:
    return _row(
        check_telegram,
        "warn",
        f"Telegram's answer has an unexpected part: {error}",
        "Check for a newer version of Countersign.",
    )


def _row(check_telegram: str, verdict: str, detail: str, mend: str = "") -> _Row:
    return {"check": check_telegram, "verdict": verdict, "detail": detail, "mend": mend}
