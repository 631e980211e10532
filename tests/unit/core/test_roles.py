"""The five roles: a ladder, except that a viewer does nothing whatever else they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.approval import eligible
from core.model.person import Person
from core.model.role import MAINTAINER, Role, bound_of
from tests.builders import people, terms

pytestmark = pytest.mark.law

WORDS = [*(role.word for role in Role), MAINTAINER, "member", "owner"]
some_roles = st.frozensets(st.sampled_from(WORDS))


@given(some_roles)
def test_a_viewer_does_nothing_whatever_else_they_are(roles):
    person = Person("ana", roles | {"viewer"})
    assert not any(person.may(role) for role in Role if role is not Role.VIEWER)


@given(some_roles, st.sampled_from(Role))
def test_each_role_includes_those_below_it(roles, role):
    person = Person("ana", roles)
    if person.may(role):
        assert all(person.may(lower) for lower in Role if lower < role)


@given(some_roles, st.sampled_from([word for word in WORDS if word not in ("viewer", "requester")]))
def test_another_role_takes_nothing_away(roles, more):
    if roles & {role.word for role in Role} or more not in {role.word for role in Role}:
        assert bound_of(roles | {more}) >= bound_of(roles)


def test_who_may_approve_is_bounded_by_roles_on_top_of_the_rule():
    known = people(rex="member requester", ann="member approver", vic="member viewer", mia="member")
    rule = terms(approvers=("member",))
    assert eligible(rule, rule, known, ()) == ("ann", "mia")


def test_names_that_only_rules_know_bound_nothing_that_rules_decide():
    assert bound_of({"member", "owner"}) is Role.APPROVER
    assert bound_of(()) is Role.APPROVER
    assert bound_of({MAINTAINER}) is Role.ADMIN
    assert bound_of({"member", "requester"}) is Role.REQUESTER
