"""The approval that a part of a workflow waits for, as its card shows it."""

from __future__ import annotations

import io
from typing import Any

import pytest

from bot.cards.build import build_card
from bot.cards.byline import awaited_approval
from bot.surfaces.terminal import print_card
from core.model.workflow import Parameter, WorkflowStep
from core.model.workflow import awaited as place_of
from tests.unit.cards import documents as docs

pytestmark = pytest.mark.lanes

STEPS = (
    WorkflowStep("plan", "ollama", "plan"),
    WorkflowStep("look", "approval", "is {it} the {what}?"),
    WorkflowStep("do", "edit", "x"),
)
TOLD = (Parameter("it"), Parameter("what", default="plan"))


def document(making: dict[str, Any], state: str = "staged") -> dict[str, Any]:
    made = {"executor": "workflow", "words": "", "usage": [], "checks": [], "tries": 1, **making}
    return {**docs.staged(), "state": state, "making": made}


def test_the_approval_is_named_with_its_place_its_people_and_what_it_asks():
    found = document({"awaits": "look", **place_of(STEPS, TOLD, "look", {"it": "this"})})
    found["staged"]["needs"] = [{"rule": "r", "count": 2, "of": ["lee", "max", "kim"], "have": ["max"]}]
    said = "waits for look by lee or kim, step 2 of 3: is this the plan?"
    card = build_card(found, now=docs.NOW)
    assert said in card.byline
    out = io.StringIO()
    print_card(out, card)
    assert said in " ".join(out.getvalue().split())


def test_a_whole_waits_for_no_step_and_an_older_document_names_the_step_alone():
    assert awaited_approval(document({"awaits": "", **place_of(STEPS, TOLD, "", {})})) == ""
    old = document({"awaits": "look"})
    old["staged"]["needs"] = []
    assert awaited_approval(old) == "waits for look"
    assert not [
        fact for fact in build_card(document({"awaits": "look"}, "rejected"), now=docs.NOW).byline if "look" in fact
    ]


def test_an_approval_that_the_file_lost_has_no_place():
    assert place_of(STEPS, TOLD, "gone", {}) == place_of(STEPS, TOLD, "plan", {}) == {}


def test_lanes_07_a_question_names_a_parameter_that_nobody_set():
    assert place_of(STEPS, TOLD, "look", {})["asks"] == "is {it} the plan?"
