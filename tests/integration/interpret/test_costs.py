"""What reading by a model costs is charged, and a day's budget that is spent asks no model."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlmodel import select

from core.model.budget import Budget
from core.model.lifecycle import State
from core.store.tables import SpendingRow
from tests.fakes.scripted import NAME
from tests.integration.interpret.test_from_words_to_a_lane import PAGE, VAGUE

pytestmark = pytest.mark.lanes


async def spent(harness):
    async def work(tx):
        return list(await tx.session.exec(select(SpendingRow)))

    rows = await harness.database.read(work)
    return [(row.number, row.lane, row.model, row.calls, row.input_tokens + row.output_tokens) for row in rows]


async def test_a_reading_is_charged_to_the_lane_that_it_led_to(harness):
    number = await harness.read(VAGUE, "no JSON", PAGE)
    assert await spent(harness) == [(number, "docs", NAME, 1, 20)] * 2, "an entry for each answer, the bad one too"
    await harness.read('create docs/x.md with "hello"', "rubbish")
    assert len(await spent(harness)) == 2, "the grammar costs nothing"


async def test_a_reading_counts_for_the_day_of_the_lane_that_was_named(harness):
    docs = replace(harness.settings.lanes["docs"], budget=Budget(day_tokens=20))
    harness.configure(lanes={**harness.settings.lanes, "docs": docs})
    first = await harness.task(await harness.read(VAGUE, PAGE, lane="docs"))
    assert first.state is State.STAGED
    second = await harness.task(await harness.read(VAGUE, PAGE, lane="docs"))
    assert harness.model.asks == []
    assert second.state is State.ASKING
    assert "have used up their budget of 24 hours" in second.question.text
