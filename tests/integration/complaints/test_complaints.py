"""Twelve complaints about today's queues: none with Countersign's, and each under the rule that it was reported of.

The reports are listed in docs/model-scheduling.md. A scenario runs against live shims that load, swap, wedge and crash.
What it waits for are conditions, and how long anything takes is counted in requests that are served meanwhile.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import pytest

from tests import campaign
from tests.integration.complaints import swaps, waits
from tests.integration.complaints.complaint import Complaint
from tests.integration.complaints.queues import countersign
from tests.integration.complaints.rivals import (
    GpuStackRules,
    LiteLlmRules,
    LlamaCppRouterRules,
    LlamaSwapRules,
    OllamaRules,
)

pytestmark = pytest.mark.queue

BOTH: Final = ("gpu", "other")
HABITS: Final = (("gpu/alpha", 180.0), ("gpu/beta", 5.0))
"""Bulk work takes three minutes, a chat some seconds."""

COMPLAINTS: Final = (
    Complaint(1, "two models used in turn thrash", swaps.two_agents_thrash, LlamaSwapRules),
    Complaint(2, "a victim is never idle", waits.the_victim_is_never_idle, OllamaRules, past_work_s=HABITS),
    Complaint(2, "a load hangs while health is green", waits.a_load_hangs, OllamaRules, endpoints=BOTH),
    Complaint(3, "another context reloads the same weights", swaps.other_contexts_reload, OllamaRules),
    Complaint(4, "the popular model is evicted", swaps.the_popular_model_goes, OllamaRules, memory_gib=23),
    Complaint(5, "a swap kills a running request", swaps.a_swap_cuts_off_an_answer, LlamaCppRouterRules),
    Complaint(6, "a waiter is lost", waits.a_waiter_is_lost, LlamaCppRouterRules),
    Complaint(7, "models are counted", swaps.models_are_counted, partial(LlamaCppRouterRules, models_max=2)),
    Complaint(8, "foreign memory is not seen", swaps.foreign_memory_is_not_seen, GpuStackRules, foreign_gib=6),
    Complaint(
        9, "a dead runner is asked", waits.a_dead_runner_is_asked, OllamaRules, endpoints=BOTH, sends_canaries=True
    ),
    Complaint(10, "chat waits behind bulk", waits.a_chat_waits_behind_bulk, OllamaRules),
    Complaint(11, "a neighbour starves the rest", waits.a_neighbour_starves_the_rest, LiteLlmRules),
    Complaint(12, "no position, no reason", waits.nothing_is_known_of_a_wait, OllamaRules),
)


def _name(complaint: Complaint) -> str:
    return f"{complaint.number}-{complaint.text.replace(' ', '-')}"


@campaign.EITHER
@pytest.mark.parametrize("complaint", COMPLAINTS, ids=_name)
async def test_countersigns_queue_does_not_show_it(complaint: Complaint, database):
    async with (
        complaint.shims() as shims,
        countersign(
            database, shims, sends_canaries=complaint.sends_canaries, past_work_s=complaint.past_work_s
        ) as queue,
    ):
        assert await complaint.symptom(queue, shims) == ""


@pytest.mark.parametrize("complaint", COMPLAINTS, ids=_name)
async def test_the_rule_that_it_was_reported_of_does(complaint: Complaint):
    async with complaint.shims() as shims:
        assert await complaint.symptom(complaint.rival(shims), shims) != ""


def test_every_complaint_has_a_scenario():
    assert {each.number for each in COMPLAINTS} == set(range(1, 13))
