"""Policy decides by the roles of the repository's team, and quotes nothing of another one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.model.decision import ApprovalRequirements, Effect, PolicyRequest
from core.model.lane import Lane
from core.model.person import People, Person
from core.model.team import Teams
from policies.policy import RulePolicy
from policies.rules import AllowEffect, DenyEffect, Rule, RuleCondition, Rules, warnings

pytestmark = pytest.mark.law

TEAMS = Teams(frozenset({"shop", "pay"}), {"web": "shop", "ledger": "pay"})


def person(name: str, **teams: str) -> Person:
    return Person(name, teams={team: frozenset({role}) for team, role in teams.items()}, is_home_wide=False)


PEOPLE = People(
    {
        each.name: each
        for each in (
            person("ana", shop="member"),
            person("lee", shop="maintainer", pay="member"),
            person("max", pay="maintainer"),
        )
    },
    TEAMS,
)
LANES = {name: Lane(name=name, describe=name, write=("**",), executor="edit") for name in ("code", "vault")}


def rule(name: str, then: AllowEffect | DenyEffect, *people: str, **when: tuple[str, ...]) -> Rule:
    return Rule(name, RuleCondition(people, **when), then)


NEEDS = ApprovalRequirements("vault-changes", 1, ("maintainer", "max"))
RULES = Rules(
    (
        rule("vault-changes", AllowEffect(NEEDS), "member", lanes=("vault",), repositories=("ledger",)),
        rule("by-max", DenyEffect("only max"), "max", lanes=("code",)),
        rule("code-changes", AllowEffect(replace(NEEDS, rule="code-changes")), "member", lanes=("code",)),
    )
)
POLICY = RulePolicy(RULES, PEOPLE, LANES)


def request(name: str, repository: str, lane: str | None = None) -> PolicyRequest:
    return PolicyRequest(name, "web", repository, ("a.txt",), lane)


def test_a_role_counts_in_the_team_where_it_was_given():
    assert POLICY.decide(request("ana", "web")).effect is Effect.ALLOW
    assert POLICY.decide(request("lee", "web")).effect is Effect.DENY  # a maintainer there, and no member
    assert POLICY.decide(request("lee", "ledger", "vault")).effect is Effect.ALLOW
    stranger = POLICY.decide(request("ana", "ledger"))
    assert (stranger.effect, stranger.reason) == (Effect.DENY, "ana is not in the team that owns ledger")


def test_nothing_of_another_team_is_quoted():
    for asked in (request("ana", "web"), request("lee", "web"), request("ana", "web", "vault")):
        text = "\n".join((POLICY.decide(asked).reason, *POLICY.trace(asked)))
        assert not any(
            word in text.replace("'vault'; lanes are: code", "") for word in ("vault-changes", "max", "ledger")
        )
    assert POLICY.lanes_of("web") == ("code",)
    assert POLICY.lanes_of("ledger") == ("code", "vault")
    decided = POLICY.decide(request("ana", "web")).requirements
    assert decided is not None
    assert decided.approvers == ("maintainer",)


def test_without_teams_the_same_rules_are_as_they_were():
    people = People({"ana": Person("ana", frozenset({"member"})), "max": Person("max", frozenset({"maintainer"}))})
    policy = RulePolicy(RULES, people, LANES)
    assert policy.lanes_of("web") == ("code", "vault")
    decided = policy.decide(request("ana", "web")).requirements
    assert decided is not None
    assert decided.approvers == ("maintainer", "max")


def test_a_team_without_enough_approvers_is_warned_of():
    alone = People({"ana": person("ana", shop="member"), "max": person("max", pay="maintainer")}, TEAMS)
    found = "\n".join(warnings(Rules(RULES.rules[2:]), alone))
    assert "can never be satisfied" in found
    assert found.endswith("; in the team shop")
