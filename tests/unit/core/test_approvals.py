"""Approvals: who counts, how often, and under which of two rules."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.approval import NOWHERE, Approval, QuorumStatus, Verdict, count_quorum, eligible, stricter
from core.model.approval_statement import ApprovalStatement
from core.model.decision import PASSKEY, ApprovalRequirements
from core.model.lane import Limits
from core.model.passkey import ApprovalSignature, Assertion
from core.rules.quorum import signed_quorum
from tests.builders import approval, people, terms

pytestmark = pytest.mark.law

DIGEST = "d" * 64
NAMES = ("ana", "bo", "lee", "max", "eve")
ROLES = ("member", "maintainer", "owner")
SURFACES = ("terminal", "slack", "web")

everybody = st.fixed_dictionaries({name: st.sampled_from(["", *ROLES, "member owner"]) for name in NAMES}).map(
    lambda roles: people(**roles)
)
limits = st.one_of(st.none(), st.builds(Limits, files=st.integers(1, 9), bytes=st.integers(1, 9)))
any_terms = st.builds(
    ApprovalRequirements,
    rule=st.sampled_from(["old", "new"]),
    count=st.integers(1, 4),
    approvers=st.lists(st.sampled_from((*NAMES, *ROLES)), min_size=1, max_size=4, unique=True).map(tuple),
    self_approve=st.booleans(),
    expires_s=st.integers(60, 9000),
    merge_from=st.just(()),
    surfaces=st.lists(st.sampled_from(SURFACES), max_size=2, unique=True).map(tuple),
    limits=limits,
    step_up=st.sampled_from(["", "", PASSKEY]),
)
said = st.lists(
    st.builds(
        approval,
        st.sampled_from(NAMES),
        st.sampled_from([DIGEST, "e" * 64]),
        st.sampled_from(Verdict),
        st.sampled_from(SURFACES),
    ),
    max_size=12,
)
authors = st.frozensets(st.sampled_from(NAMES), min_size=1, max_size=2)


@given(any_terms, any_terms, everybody, authors, said)
def test_each_person_counts_once_however_often_they_say_it(promised, live, known, wrote, approvals):
    once = count_quorum(promised, live, known, wrote, approvals, DIGEST)
    twice = count_quorum(promised, live, known, wrote, [*approvals, *approvals], DIGEST)
    assert once == twice
    assert len(set(once.have)) == len(once.have)


@given(any_terms, any_terms, everybody, authors, said)
def test_only_an_approval_of_this_digest_by_somebody_eligible_counts(promised, live, known, wrote, approvals):
    needs = count_quorum(promised, live, known, wrote, approvals, DIGEST)
    for person in needs.have:
        assert any(a.person == person and a.digest == DIGEST and a.verdict is Verdict.APPROVE for a in approvals)
        assert person in known.matching(promised.approvers)
        assert person in known.matching(live.approvers)
    assert set(needs.have) <= set(needs.of)


@given(any_terms, any_terms, everybody, authors, said)
def test_an_author_never_counts_unless_both_rules_let_them(promised, live, known, wrote, approvals):
    needs = count_quorum(promised, live, known, wrote, approvals, DIGEST)
    if not (promised.self_approve and live.self_approve):
        assert not wrote & {*needs.have, *needs.of}


@given(any_terms, any_terms, everybody, authors, said)
def test_two_rules_together_are_never_met_before_each_alone(promised, live, known, wrote, approvals):
    if count_quorum(promised, live, known, wrote, approvals, DIGEST).met:
        assert count_quorum(promised, promised, known, wrote, approvals, DIGEST).met
        assert count_quorum(live, live, known, wrote, approvals, DIGEST).met


@given(any_terms, any_terms)
def test_the_stricter_of_two_rules_is_weaker_than_neither(promised, live):
    strict = stricter(promised, live)
    for rule in (promised, live):
        assert strict.count >= rule.count
        assert strict.expires_s <= rule.expires_s
        assert rule.self_approve or not strict.self_approve
        if rule.surfaces:
            assert strict.surfaces
            assert set(strict.surfaces) <= {*rule.surfaces, NOWHERE}
        if rule.limits is not None:
            assert strict.limits is not None
            assert strict.limits.tightened(rule.limits) == strict.limits


@given(any_terms)
def test_a_rule_is_as_strict_as_itself(rule):
    assert stricter(rule, rule) == rule


@given(any_terms, any_terms, everybody, authors)
def test_who_is_eligible_does_not_depend_on_which_rule_came_first(promised, live, known, wrote):
    assert eligible(promised, live, known, wrote) == eligible(live, promised, known, wrote)


def test_two_rules_that_share_no_surface_are_met_on_none():
    promised, live = terms(surfaces=("slack",)), terms(surfaces=("web",))
    heard = [approval("lee", DIGEST, surface=surface) for surface in SURFACES]
    assert not count_quorum(promised, live, people(), {"ana"}, heard, DIGEST).met


def test_a_second_approver_is_needed_where_the_rule_wants_two():
    rule = terms(2)
    one = [approval("lee", DIGEST)]
    assert not count_quorum(rule, rule, people(), {"ana"}, one, DIGEST).met
    both = count_quorum(rule, rule, people(), {"ana"}, [*one, approval("max", DIGEST)], DIGEST)
    assert both == QuorumStatus("small-changes", 2, ("lee", "max"), ("lee", "max"))
    assert both.met


def test_a_rejection_never_counts_as_an_approval():
    rule = terms()
    assert not count_quorum(rule, rule, people(), {"ana"}, [approval("lee", DIGEST, Verdict.REJECT)], DIGEST).met


@given(any_terms, any_terms, everybody, authors, said)
def test_what_a_receipt_signs_is_counted_again_as_it_was_counted(promised, live, known, wrote, approvals):
    counted = count_quorum(promised, live, known, wrote, approvals, DIGEST)
    predicate = {
        "authors": sorted(wrote),
        "decision": {"terms": promised.to_json()},
        "staged": {"digest": DIGEST},
        "needs": counted.to_json(),
        "approvals": [one.to_json() for one in approvals if one.digest == DIGEST],
    }
    again = signed_quorum(json.loads(json.dumps(predicate)))
    assert again.count == counted.count
    assert set(counted.have) <= set(again.have) <= set(again.of)
    if not live.surfaces and live.self_approve:
        assert again.have == counted.have


def test_a_receipt_of_an_older_version_does_not_say_who_could_approve():
    signed: dict[str, Any] = {
        "authors": ["ana"],
        "decision": {"terms": terms(2).to_json()},
        "staged": {"digest": DIGEST},
        "approvals": [approval(name, DIGEST).to_json() for name in ("ana", "lee", "max")],
    }
    assert signed_quorum(signed) == QuorumStatus("small-changes", 2, ("lee", "max"), ("lee", "max"))
    assert not signed_quorum({**signed, "approvals": signed["approvals"][:2]}).met


def test_those_who_may_still_approve_are_missing():
    assert QuorumStatus("r", 2, ("lee", "max", "zoe"), ("max",)).missing == ("lee", "zoe")


def test_where_a_passkey_is_demanded_only_a_signature_of_this_verdict_counts():
    rule = terms(step_up=PASSKEY)
    said = ApprovalStatement(1, "tsk_1", DIGEST, "b" * 40, "approve", "lee", "home", "2026-12-01T12:00:00+00:00", "n")
    bare = approval("lee", DIGEST)

    def counted(one: Approval) -> bool:
        return count_quorum(terms(), rule, people(), {"ana"}, [one], DIGEST).met

    def signed(statement: ApprovalStatement) -> Approval:
        return replace(bare, signature=ApprovalSignature(statement, Assertion("i", "a", "c", "s"), "k", {}))

    assert not counted(bare)
    assert counted(signed(said))
    for other in (replace(said, person="max"), replace(said, digest="0" * 64), replace(said, verdict="reject")):
        assert not counted(signed(other))
