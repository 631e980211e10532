"""What `countersign doctor` finds out about Telegram."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.cards.safe import one_line
from bot.surfaces.port import TelegramConfig
from bot.surfaces.telegram.wire import Wire
from core.errors import CountersignError

Row = dict[str, Any]


async def check(wire: Wire, config: TelegramConfig) -> Sequence[Row]:
    """Rows about the token, privacy mode, the webhook and each group; reaches Telegram."""
    try:
        me = await wire.call(lambda bot: bot.get_me())
    except CountersignError as error:
        return [_row("telegram", "fail", error.problem.message, str(error.problem.mend))]
    rows = [_row("telegram", "ok", f"@{me.username} (id {me.id})")]
    if me.can_read_all_group_messages:
        mend = "@BotFather /setprivacy Enable, then add the bot to its groups again."
        rows.append(_row("telegram privacy", "warn", "privacy mode is off: every group message is sent to us", mend))
    else:
        rows.append(_row("telegram privacy", "ok", "on: only commands, mentions and replies are sent to us"))
    rows.append(await _webhook(wire, config))
    rows.extend([await _group(wire, chat) for chat in config.chats])
    if not config.chats:
        rows.append(_row("telegram groups", "ok", "none listed: only private chats are heard"))
    return rows


async def _webhook(wire: Wire, config: TelegramConfig) -> Row:
    try:
        found = await wire.call(lambda bot: bot.get_webhook_info())
    except CountersignError as error:
        return _row("telegram webhook", "fail", error.problem.message, str(error.problem.mend))
    waiting = f"{found.pending_update_count} updates wait"
    if config.webhook_url is None:
        if found.url:
            return _row(
                "telegram webhook", "warn", "one is set; polling will remove it", "Set webhook_url if you want it."
            )
        return _row("telegram webhook", "ok", f"none, we poll; {waiting}")
    if not found.url.startswith(config.webhook_url):
        return _row("telegram webhook", "warn", "not set yet, or by another program", "Start `countersign serve`.")
    if found.last_error_message:
        mend = "Telegram must reach the address over HTTPS on port 443, 80, 88 or 8443."
        return _row("telegram webhook", "warn", f"{one_line(found.last_error_message, 200)}; {waiting}", mend)
    return _row("telegram webhook", "ok", f"set; {waiting}")


async def _group(wire: Wire, chat: str) -> Row:
    try:
        found = await wire.call(lambda bot: bot.get_chat(int(chat)))
    except ValueError:
        return _row(f"telegram group {chat}", "fail", "not a group's id", "A group's id is a negative number.")
    except CountersignError as error:
        return _row(f"telegram group {chat}", "fail", error.problem.message, "Add the bot to the group; check the id.")
    return _row(f"telegram group {chat}", "ok", one_line(found.title or "", 80))


def _row(check: str, verdict: str, detail: str, mend: str = "") -> Row:
    return {"check": check, "verdict": verdict, "detail": detail, "mend": mend}
