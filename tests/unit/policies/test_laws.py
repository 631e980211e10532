"""Properties that hold for every policy and every request."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.decision import ApprovalRequirements, Effect, PolicyRequest
from policies.policy import RulePolicy
from policies.protected import protected
from policies.reasons import mismatch
from policies.rules import AllowEffect, AskEffect, DenyEffect, Rule, RuleCondition, Rules
from tests.unit.policies.cases import BY_RULE, CREW, LANES

pytestmark = pytest.mark.law

people = ["ana", "lee", "eve", "member", "maintainer", "contractor"]


def some(names):
    return st.one_of(st.none(), st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True).map(tuple))


whens = st.builds(
    RuleCondition,
    people=st.lists(st.sampled_from(people), min_size=1, max_size=3, unique=True).map(tuple),
    lanes=some(sorted(LANES)),
    surfaces=some(["terminal", "slack"]),
    repositories=some(["web", "infra"]),
)
allows = st.builds(
    lambda count, own: AllowEffect(ApprovalRequirements("r", count, ("maintainer",), self_approve=own)),
    st.integers(1, 3),
    st.booleans(),
)
thens = st.one_of(allows, st.just(DenyEffect("closed")), st.just(AskEffect("sure?")))
rule_lists = st.lists(st.builds(Rule, st.just("r"), whens, thens), max_size=5).map(
    lambda rules: tuple(replace(r, name=f"r{n}") for n, r in enumerate(rules))
)
paths = st.lists(
    st.sampled_from(
        ["README.md", "docs/a", "config/a.yaml", "config/b.md", "src/a.py", ".env", ".GitHub/x", "../x", "x.toml"]
    ),
    max_size=3,
).map(tuple)
requests = st.builds(
    PolicyRequest,
    person=st.sampled_from(["ana", "lee", "eve", "nobody"]),
    surface=st.sampled_from(["terminal", "slack", "web"]),
    repository=st.sampled_from(["web", "infra"]),
    paths=paths,
    lane=st.one_of(st.none(), st.sampled_from(sorted(LANES))),
    deterministic=st.booleans(),
    edited_by_rule=st.just(BY_RULE),
)


def law(rules: tuple[Rule, ...], protect: tuple[str, ...] = ()) -> RulePolicy:
    return RulePolicy(Rules(rules, protect), CREW, LANES)


@given(rule_lists, requests)
def test_an_allowed_request_was_allowed_by_the_first_rule_that_speaks_of_it(rules, request):
    decision = law(rules).decide(request)
    if decision.effect is not Effect.ALLOW:
        assert decision.requirements is None
        return
    person = CREW.named(request.person)
    assert decision.lane is not None
    first = next(r for r in rules if mismatch(r, person, request, decision.lane) is None)
    assert isinstance(first.then, AllowEffect)
    assert (decision.rule, decision.requirements) == (first.name, first.then.requirements)


@given(rule_lists, requests)
def test_no_protected_path_is_allowed_and_every_path_lies_in_the_lane(rules, request):
    decision = law(rules).decide(request)
    if decision.effect is Effect.ALLOW:
        assert not any(protected().denies(p.encode()) for p in request.paths)
        assert request.lane in {None, decision.lane}


@given(rule_lists, whens, requests)
def test_a_deny_rule_on_top_never_allows_more(rules, when, request):
    before = law(rules)
    after = law((Rule("top", when, DenyEffect("closed")), *rules)).decide(request)
    if after.effect is Effect.ALLOW:
        same = before.decide(replace(request, lane=after.lane))
        assert (same.effect, same.rule, same.requirements) == (Effect.ALLOW, after.rule, after.requirements)


@given(rule_lists, requests, st.sampled_from(["docs/**", "*.toml", "**/*.md", "config"]))
def test_protecting_more_never_allows_more(rules, request, pattern):
    if law(rules, (pattern,)).decide(request).effect is Effect.ALLOW:
        assert law(rules).decide(request).effect is Effect.ALLOW


@given(requests)
def test_no_rules_allow_nothing(request):
    assert law(()).decide(request).effect is Effect.DENY


@given(rule_lists, requests)
def test_a_question_is_settled_by_naming_any_of_its_lanes(rules, request):
    policy = law(rules)
    asked = policy.decide(request)
    if asked.effect is Effect.ASK:
        assert asked.question is not None
        assert asked.question.options
        for lane in asked.question.options:
            assert policy.decide(replace(request, lane=lane)).effect is not Effect.ASK


@given(rule_lists, requests)
def test_live_requirements_are_those_of_the_decision(rules, request):
    policy = law(rules)
    decision = policy.decide(request)
    if decision.effect is Effect.ALLOW:
        assert policy.requirements_of(replace(request, lane=decision.lane)) is not None
    if request.lane is not None:
        assert policy.requirements_of(request) == decision.requirements


@given(
    rule_lists,
    st.builds(
        PolicyRequest, st.text(), st.text(), st.text(), st.lists(st.text()).map(tuple), st.one_of(st.none(), st.text())
    ),
)
def test_any_request_gets_a_decision_with_a_reason(rules, request):
    decision = law(rules).decide(request)
    assert decision.reason
    assert law(rules).trace(request)
