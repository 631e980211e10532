"""The pace of Telegram: whatever is sent, no window holds more than its limit, and each chat keeps its order."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.surfaces.telegram.pace import ChatPace, PaceLimits
from core.model.errors import TransientError
from tests import virtual_time

pytestmark = pytest.mark.surfaces

GROUPS, PEOPLE = (-1, -2), (1, 2, 3)
EPSILON_S = 1e-9


async def send_all(pace: ChatPace, chats: list[int], gap_s: float) -> list[tuple[float, int, int]]:
    """Send one message after another, some at once; (when, chat, which of its messages) in the order of sending."""
    loop, sent = asyncio.get_running_loop(), []
    numbers = dict.fromkeys(chats, 0)

    async def send(chat: int, number: int) -> None:
        async with pace.turn(chat) as turn:
            await turn.wait()
            sent.append((loop.time(), chat, number))

    async with asyncio.TaskGroup() as group:
        for index, chat in enumerate(chats):
            group.create_task(send(chat, numbers[chat]))
            numbers[chat] += 1
            if index % 3 == 0:
                await asyncio.sleep(gap_s)
    return sent


def fullest(times: list[float], window_s: float) -> int:
    """The most messages within any window of that length, its end not included."""
    return max((sum(start <= t < start + window_s - EPSILON_S for t in times) for start in times), default=0)


@given(
    chats=st.lists(st.sampled_from([*GROUPS, *PEOPLE]), max_size=80),
    gap_s=st.floats(0, 2),
    limits=st.builds(
        PaceLimits,
        chat=st.tuples(st.integers(1, 4), st.floats(0.1, 3)),
        group=st.tuples(st.integers(1, 20), st.floats(1, 60)),
        overall=st.tuples(st.integers(1, 30), st.floats(0.1, 2)),
        patience_s=st.just(1e6),
    ),
)
def test_no_window_holds_more_than_its_limit_and_each_chat_keeps_its_order(chats, gap_s, limits):
    sent = virtual_time.run(send_all(ChatPace(limits), chats, gap_s))
    assert len(sent) == len(chats)
    assert fullest([t for t, _, _ in sent], limits.overall[1]) <= limits.overall[0]
    for chat in set(chats):
        mine = [(t, number) for t, of, number in sent if of == chat]
        assert [number for _, number in mine] == list(range(len(mine)))
        assert fullest([t for t, _ in mine], limits.chat[1]) <= limits.chat[0]
        if chat in GROUPS:
            assert fullest([t for t, _ in mine], limits.group[1]) <= limits.group[0]


def test_telegrams_own_limits_let_a_group_have_twenty_a_minute():
    sent = virtual_time.run(send_all(ChatPace(PaceLimits(patience_s=1e6)), [-1] * 100, 0))
    assert fullest([t for t, _, _ in sent], 60) == 20
    assert sent[-1][0] < 5 * 60


def test_what_would_wait_longer_than_the_patience_is_told_when_to_come_again():
    async def one_too_many() -> float:
        pace = ChatPace(PaceLimits(chat=(1, 100.0), patience_s=15))
        await send_all(pace, [1], 0)
        with pytest.raises(TransientError) as caught:
            async with pace.turn(1) as turn:
                await turn.wait()
        return caught.value.retry_after_s or 0.0

    assert virtual_time.run(one_too_many()) == pytest.approx(100)
