"""The lifecycle's table, over the whole product of states and facts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest

from core.model.errors import ConflictError
from core.model.job import JobKind
from core.model.lifecycle import (
    ENDS,
    FALLS_BACK,
    OWED_IN,
    RESTING,
    START,
    SUPERSEDING,
    TRANSITIONS,
    WAITING_FOR_PEOPLE,
    Fact,
    State,
    advance,
    diagram,
)

DOCUMENT = Path(__file__).parents[3] / "docs" / "lifecycle.md"
EVERY_PAIR = list(product(State, Fact))


@dataclass(frozen=True)
class Position:
    """As much of a task as the table asks for."""

    state: State
    has_open_pull_request: bool = False
    number: int = 142


@pytest.mark.parametrize("published", [False, True], ids=["alone", "beside a pull request"])
@pytest.mark.parametrize(("state", "fact"), EVERY_PAIR, ids=[f"{s}-{f}" for s, f in EVERY_PAIR])
def test_a_fact_gives_the_tables_answer_or_a_conflict_that_names_state_and_number(state, fact, published):
    step = TRANSITIONS.get((state, fact))
    if step is None:
        with pytest.raises(ConflictError) as caught:
            advance(Position(state, published), fact)
        assert caught.value.problem.code == "wrong_state"
        assert f"#142 is {state.value}" in caught.value.problem.message
        return
    after = advance(Position(state, published), fact)
    falls_back = published and step.to in FALLS_BACK
    assert after.state is (State.PUBLISHED if falls_back else step.to)
    assert after.owes == step.owes
    assert after.drops_jobs is (fact in SUPERSEDING)
    assert after.new_revision is (fact in (Fact.REPLIED, Fact.CONTINUED))


@pytest.mark.parametrize("fact", [Fact.REJECTED, Fact.EXPIRED, Fact.CANCELLED])
def test_a_revision_that_comes_to_nothing_leaves_the_published_one_standing(fact):
    assert advance(Position(State.STAGED, has_open_pull_request=True), fact).state is State.PUBLISHED


def test_nothing_is_owed_where_a_task_falls_back():
    """A revision that ends owes nothing, so falling back to published can lose no job."""
    assert all(not step.owes for step in TRANSITIONS.values() if step.to in FALLS_BACK)


def test_every_state_but_the_ends_has_a_way_out():
    for state in set(State) - ENDS:
        assert {step.to for (at, _), step in TRANSITIONS.items() if at is state} - {state}, state


def test_only_a_persons_word_leaves_an_end():
    leaving = {fact for (state, fact), step in TRANSITIONS.items() if state in ENDS and step.to is not state}
    assert leaving == {Fact.REPLIED}


def test_every_state_is_reached_from_the_start():
    reached, new = {START.to}, {START.to}
    while new:
        new = {step.to for (state, _), step in TRANSITIONS.items() if state in new} - reached
        reached |= new
    assert reached == set(State)


def test_resting_states_and_states_that_owe_a_job_share_out_all_states():
    assert set(OWED_IN) | RESTING == set(State)
    assert not set(OWED_IN) & RESTING
    assert ENDS <= RESTING
    assert WAITING_FOR_PEOPLE <= RESTING - ENDS


def test_entering_a_working_state_owes_its_job_or_keeps_the_one_that_runs():
    assert START.owes == (OWED_IN[START.to],)
    for (state, fact), step in TRANSITIONS.items():
        wanted = OWED_IN.get(step.to)
        if wanted is None:
            continue
        kept = (OWED_IN.get(state) is wanted and fact not in SUPERSEDING) or fact is Fact.EXTENDED  # its job was paused
        assert step.owes == (() if kept else (wanted,)), (state, fact)


def test_a_resting_state_is_entered_with_a_job_only_on_a_persons_word():
    """Merging and closing leave the task published while their job runs."""
    asked = {fact for fact in Fact if fact.value.endswith("_asked")}
    for (_, fact), step in TRANSITIONS.items():
        if step.to in RESTING and step.owes:
            assert fact in asked
            assert step.owes[0] in (JobKind.MERGE, JobKind.CLOSE)


def test_what_is_decided_cannot_be_decided_again():
    for state in (State.APPROVED, State.PUBLISHED, State.MERGED, *ENDS):
        for fact in (Fact.APPROVED, Fact.COUNTED, Fact.CONTINUED, Fact.REJECTED):
            assert (state, fact) not in TRANSITIONS


def test_the_diagram_names_every_transition_and_nothing_else():
    drawn = {
        (line["state"], fact, line["to"])
        for line in re.finditer(r"^    (?P<state>\w+) --> (?P<to>\w+): (?P<facts>[\w, ]+)$", diagram(), re.MULTILINE)
        for fact in line["facts"].split(", ")
    }
    assert drawn == {(state.value, fact.value, step.to.value) for (state, fact), step in TRANSITIONS.items()}


def test_the_diagram_begins_and_ends():
    lines = diagram().splitlines()
    assert lines[0] == "stateDiagram-v2"
    assert f"    [*] --> {START.to.value}: requested" in lines
    for state in State:
        nowhere_else = not {step.to for (at, _), step in TRANSITIONS.items() if at is state} - {state}
        assert (f"    {state.value} --> [*]" in lines) is nowhere_else, state


def test_the_documentation_shows_the_table_as_it_is():
    assert diagram() in DOCUMENT.read_text(encoding="utf-8"), "run `make docs`"
