"""What `countersign doctor` finds out about Telegram."""

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
    """Rows about the token, privacy mode, the webhook and each group; reaches Telegram.

    An answer that is not as Telegram documents it makes its own row, and no other.
    """
    try:
        me = await wire.ask("getMe")
        rows = [_row("telegram", "ok", f"@{text_at(me, 'username')} (id {required_int(me, 'id')})")]
    except CountersignError as error:
        return [_row("telegram", "fail", error.problem.message, str(error.problem.mend))]
    except UnreadableUpdateError as error:
        return [_odd("telegram", error)]
    if me.get("can_read_all_group_messages"):
        mend = "@BotFather /setprivacy Enable, then add the bot to its groups again."
        rows.append(_row("telegram privacy", "warn", "privacy mode is off: every group message is sent to us", mend))
    else:
        rows.append(_row("telegram privacy", "ok", "on: only commands, mentions and replies are sent to us"))
    rows.append(await _webhook(wire, config))
    rows.extend([await _group(wire, chat) for chat in config.chats])
    if not config.chats:
        rows.append(_row("telegram groups", "ok", "none listed: only private chats are heard"))
    return rows


async def _webhook(wire: TelegramClient, config: TelegramConfig) -> _Row:
    name = "telegram webhook"
    try:
        found = await wire.ask("getWebhookInfo")
        url, trouble = text_at(found, "url"), text_at(found, "last_error_message")
        waiting = f"{optional_int(found, 'pending_update_count') or 0} updates wait"
    except CountersignError as error:
        return _row(name, "fail", error.problem.message, str(error.problem.mend))
    except UnreadableUpdateError as error:
        return _odd(name, error)
    if config.webhook_url is None:
        if url:
            return _row(name, "warn", "one is set; polling will remove it", "Set webhook_url if you want it.")
        return _row(name, "ok", f"none, we poll; {waiting}")
    if not url.startswith(config.webhook_url):
        return _row(name, "warn", "not set yet, or by another program", "Start `countersign serve`.")
    if trouble:
        mend = "Telegram must reach the address over HTTPS on port 443, 80, 88 or 8443."
        return _row(name, "warn", f"{one_line(trouble, 200)}; {waiting}", mend)
    return _row(name, "ok", f"set; {waiting}")


async def _group(wire: TelegramClient, chat: str) -> _Row:
    name = f"telegram group {chat}"
    try:
        found = await wire.ask("getChat", chat_id=int(chat))
        return _row(name, "ok", one_line(text_at(found, "title"), 80))
    except UnreadableUpdateError as error:
        return _odd(name, error)
    except ValueError:
        return _row(name, "fail", "not a group's id", "A group's id is a negative number.")
    except CountersignError as error:
        return _row(name, "fail", error.problem.message, "Add the bot to the group; check the id.")


def _odd(check_telegram: str, error: UnreadableUpdateError) -> _Row:
    return _row(check_telegram, "warn", f"Telegram's answer is odd: {error}", "See whether a newer version reads it.")


def _row(check_telegram: str, verdict: str, detail: str, mend: str = "") -> _Row:
    return {"check": check_telegram, "verdict": verdict, "detail": detail, "mend": mend}
