"""Reverse questions agree with asking about each person, surface, repository and lane."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.decision import Effect, PolicyRequest
from core.model.turn import SURFACES
from policies.reverse import permissions, refusals
from tests.unit.policies.cases import REPOSITORIES, version
from tests.unit.policies.test_index import lanes_of, people_of, rules_of

pytestmark = pytest.mark.law


@given(rules_of(), people_of, lanes_of, st.sampled_from(["docs/a.md", "config/a.yaml", "a/x/b/c.md"]))
def test_permissions_are_exactly_the_requests_that_are_allowed(rules, people, lanes, path):
    law = version(rules, people, lanes)
    found = {
        (person, surface, repository, each.lane, each.requirements)
        for each in permissions(law, people.by_name, (path,))
        for person, surface, repository in product(each.requesters, each.surfaces, each.repositories)
    }
    allowed = set()
    for person, surface, repository, lane in product(people.by_name, SURFACES, REPOSITORIES, lanes):
        decision = law.policy.decide(PolicyRequest(person, surface, repository, (path,), lane))
        if decision.effect is Effect.ALLOW:
            allowed.add((person, surface, repository, lane, decision.requirements))
    assert found == allowed


@given(rules_of(), people_of, lanes_of)
def test_a_person_who_may_do_nothing_is_told_why(rules, people, lanes):
    law = version(rules, people, lanes)
    for person in people.by_name:
        if lanes and not permissions(law, [person], ("docs/a.md",)):
            asks = refusals(law, [person], ("docs/a.md",))
            assert asks
