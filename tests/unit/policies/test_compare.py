"""The comparison of two policies has a witness for every decision that changed, and none for another."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.model.decision import Effect
from core.model.lane import Lane
from policies.compare import PolicyVersion, changed_decisions
from tests import campaign
from tests.unit.policies.cases import ALLOW, REPOSITORIES, parsed, version
from tests.unit.policies.test_index import lanes_of, people_of, requests, rules_of

pytestmark = pytest.mark.law


def changes(before: str, after: str) -> list[str]:
    """The changes of two policies, in words."""
    found = changed_decisions(version(parsed(f"version: 1\n{before}")), version(parsed(f"version: 1\n{after}")))
    return [
        f"{','.join(change.people)} {','.join(change.witness.paths)} {change.witness.lane}: "
        f"{change.before.effect.value}→{change.after.effect.value}"
        for change in found
    ]


@settings(max_examples=2000 if campaign.WHOLE else 40, deadline=None)
@given(rules_of(), rules_of(), people_of, lanes_of, lanes_of, st.lists(requests, min_size=20, max_size=40))
def test_every_request_that_is_decided_differently_is_of_a_kind_with_a_witness(
    rules, others, people, lanes, other_lanes, asked
):
    before, after = version(rules, people, lanes), version(others, people, other_lanes)
    found = changed_decisions(before, after)
    for change in found:
        assert before.outcome(change.witness) != after.outcome(change.witness)
    for request in (replace(each, suggested=None) for each in asked):
        if not people.get(request.person) or request.repository not in REPOSITORIES:
            continue
        if before.outcome(request) != after.outcome(request):
            kinds = [(each.people, each.surfaces, each.repositories) for each in found]
            asked_by = request.person, request.surface, request.repository
            assert any(all(one in many for one, many in zip(asked_by, kind, strict=True)) for kind in kinds), request


@given(rules_of(), people_of, lanes_of)
def test_a_policy_does_not_differ_from_itself(rules, people, lanes):
    assert changed_decisions(version(rules, people, lanes), version(rules, people, lanes)) == []


def test_the_names_of_rules_and_the_words_of_reasons_make_no_difference():
    before = f'rules: [{{name: a, when: {{from: member}}, {ALLOW}}}, {{name: b, when: {{from: eve}}, deny: "no"}}]'
    after = f'rules: [{{name: c, when: {{from: member}}, {ALLOW}}}, {{name: d, when: {{from: eve}}, deny: "never"}}]'
    assert changes(before, after) == []


def test_one_more_approval_is_a_change_for_those_whom_the_rule_is_for():
    before = f"rules: [{{name: a, when: {{from: member, lane: docs}}, {ALLOW}}}]"
    after = before.replace("count: 1", "count: 2")
    found = changes(before, after)
    assert found
    assert all(line.startswith("ana ") and "allow→allow" in line for line in found)


def test_a_path_that_is_protected_now_is_a_change_of_that_path_alone():
    before = f"rules: [{{name: a, when: {{from: member, lane: docs}}, {ALLOW}}}]"
    found = changes(before, f'protect: ["docs/private/**"]\n{before}')
    assert found
    assert all("private" in line.lower() and line.endswith("→deny") for line in found)


def test_what_is_the_same_path_by_path_and_not_together_is_found_in_the_named_lane():
    """A stricter lane that takes over one of two files: each alone goes where it went."""
    writes: dict[str, tuple[str, ...]] = {"docs": ("a", "b"), "config": ("b",)}
    less: dict[str, tuple[str, ...]] = {"docs": ("a",), "config": ("b",)}
    rules = parsed(
        f"version: 1\nrules:\n  - {{name: strict, when: {{from: member, lane: config}}, "
        f"{ALLOW.replace('count: 1', 'count: 2')}}}\n  - {{name: rest, when: {{from: member}}, {ALLOW}}}"
    )

    def of(globs: dict[str, tuple[str, ...]]) -> PolicyVersion:
        return version(rules, lanes={name: Lane(name, name, write, "edit") for name, write in globs.items()})

    found = changed_decisions(of(writes), of(less))
    assert [(c.witness.lane, c.witness.paths, c.after.effect) for c in found] == [("docs", ("b",), Effect.DENY)]
