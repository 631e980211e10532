"""A Telegram for tests: a real HTTP server that speaks the Bot API for one bot, and people who write and press buttons.

It is honest: all it sends and all it is sent are held against aiogram's types (Bot API 10), Telegram's limits are
enforced with Telegram's own words, and what the bot does against the documentation fails the test that uses the
fixture. It finds mentions, commands and links in texts by itself, as Telegram does.

    from tests.fakes.telegram.fixtures import telegram   # in a conftest.py; a test then asks for `telegram`

    async def test_a_task_is_asked_for_and_approved(telegram):
        ana, team = telegram.person("Ana"), telegram.group("Team", topics={7: "docs"})
        config = TelegramConfig(telegram.token, {str(team.id): ()}, base_url=telegram.base_url)
        ...                                               # run the surface or the whole bot on `config`
        asked = ana.says(team, "@ourbot fix the docs", thread=7)
        card = await telegram.until(lambda: next((m for m in team.by_bot() if m.buttons), None))
        assert asked.reactions == ["👀"] and card.thread == 7
        (click,) = ana.clicks(card, "Approve")            # times=50 for a nervous finger
        assert (await click.answered())["text"] == "Approved."
        telegram.next("editMessageText", Fault(FaultKind.FLOOD, 1), Fault(FaultKind.LOST_ANSWER))

What can be seen now is in `Chat.messages`: `Shown.text`, `.entities`, `.buttons`, `.document`, `.reactions`, `.edits`.
Faults by call are set with `next`; `revoke`, `kick`, `migrate`, `lose_offset`, `delete`, `flood`, `privacy`,
`other_poller` and `refuse_entities` are states. For webhooks set `telegram.reach` to map the public address to the
test's server.
"""

from __future__ import annotations

from tests.fakes.telegram.model import Button, Chat, Click, Shown, Upload
from tests.fakes.telegram.people import (
    Person,
    anonymous_admin_says,
    channel_is_forwarded,
    channel_says,
)
from tests.fakes.telegram.server import SECRET_HEADER, TOKEN, FakeTelegram, Fault, FaultKind, Flood

__all__ = [
    "SECRET_HEADER",
    "TOKEN",
    "Button",
    "Chat",
    "Click",
    "FakeTelegram",
    "Fault",
    "FaultKind",
    "Flood",
    "Person",
    "Shown",
    "Upload",
    "anonymous_admin_says",
    "channel_is_forwarded",
    "channel_says",
]
