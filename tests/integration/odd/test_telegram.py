"""Telegram's updates, mutated."""

from __future__ import annotations

from typing import Any

import pytest

from bot.surfaces.telegram.incoming import BotAccount
from bot.surfaces.telegram.surface import TelegramSurface
from tests.fakes.telegram import FakeTelegram, anonymous_admin_says, channel_is_forwarded
from tests.fakes.telegram.fixtures import telegram
from tests.integration.odd.mutations import CANARY, COUNT, RUNNING, Mutator
from tests.integration.odd.strict_inbox import StrictInbox
from tests.integration.telegram.conftest import QUICK, config_of, listening

pytestmark = pytest.mark.surfaces

__all__ = ["telegram"]


def real_updates(telegram: FakeTelegram) -> list[dict[str, Any]]:
    """Updates of every kind that we ask for, as Telegram sends them (held against aiogram's types), for one group."""
    telegram.privacy = False
    ana, lee = telegram.person(f"Ana {CANARY}", username="ana"), telegram.person("Lee")
    (team,) = [chat for chat in telegram.chats.values() if chat.is_group]
    first = ana.says(team, f"@ourbot, set a to {CANARY}", thread=7)
    ana.edits(first, f"@ourbot set b to {CANARY}")
    ana.says(ana.private, f"/task set a to {CANARY}")
    ana.says(ana.private, CANARY * 400)
    ana.says(ana.private, f"the rest {CANARY}")
    ana.says(ana.private, CANARY, photo=True)
    ana.says(ana.private, "", document="a.txt")
    ana.says(ana.private, f"fix {CANARY}", forwarded=True)
    lee.says(team, f"@ourbot do this {CANARY}", reply_to=first)
    lee.says(team, f"/show@ourbot 1 {CANARY}", as_channel=True)
    anonymous_admin_says(telegram, team, f"@ourbot {CANARY}")
    channel_is_forwarded(telegram, team, CANARY)
    lee.sends(first, f"button-{CANARY}")
    lee.sends(None, "button")
    telegram.migrate(telegram.group(f"Small {CANARY}", kind="group"))
    found, telegram.queue.pending = telegram.queue.pending, []
    return found


async def test_mutated_updates_let_every_good_one_be_heard_and_no_words_into_the_log(capfd):
    fake, mutator, inbox = FakeTelegram(), Mutator(1), StrictInbox()
    team = fake.group("Team", topics={7: "docs"})
    updates = real_updates(fake)
    surface = TelegramSurface(config_of(fake, team), limits=QUICK)
    surface._account, surface._inbox = BotAccount(int(fake.bot["id"]), "ourbot", fake.token), inbox
    surface._start = lambda answer: answer.close()  # type: ignore[method-assign]  # answers are not what this is about
    ana = fake.person("Bo")
    for n in range(COUNT):
        await surface._store_body(mutator.of(mutator.chance.choice(updates)))
        ana.says(ana.private, f"good {n}")
        assert await surface._store_body(fake.queue.pending.pop())
    assert {f"good {n}" for n in range(COUNT)} <= inbox.texts
    await surface.close()
    out, err = capfd.readouterr()
    assert CANARY not in out + err


async def test_a_running_surface_hears_every_good_message_between_mutated_ones(telegram, capfd):
    mutator, inbox = Mutator(2), StrictInbox()
    team = telegram.group("Team", topics={7: "docs"})
    updates = real_updates(telegram)
    surface = TelegramSurface(config_of(telegram, team), limits=QUICK, wait_s=5.0, poll_s=5)
    bo = telegram.person("Bo")
    telegram.odd = True
    for n in range(RUNNING):
        odd = mutator.of(mutator.chance.choice(updates), keep=frozenset({"update_id"}))
        telegram.queue.pending.append({**odd, "update_id": telegram.queue.next_id})
        telegram.queue.next_id += 1
        bo.says(bo.private, f"good {n}")
    async with listening(surface, inbox):
        await telegram.confirmed()
    assert {f"good {n}" for n in range(RUNNING)} <= inbox.texts
    out, err = capfd.readouterr()
    assert CANARY not in out + err
