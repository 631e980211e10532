"""The rules and lanes as a team sees them: without what is about repositories and people of other teams."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from core.model.lane import Lane
from core.model.person import People
from policies.rules import AllowEffect, Rule, Rules


def rules_seen(rules: Rules, people: People, repositories: Collection[str], known: Collection[str]) -> Rules:
    """The rules that can match a request for one of `repositories`, naming no person but those in `known`."""
    seen = (_seen(rule, people, repositories, known) for rule in rules.rules)
    return replace(rules, rules=tuple(rule for rule in seen if rule is not None))


def lanes_seen(rules: Rules, lanes: Mapping[str, Lane]) -> dict[str, Lane]:
    """The lanes that a rule opens."""
    opening = [rule.when.lanes for rule in rules.rules if rule.opens]
    return {name: lane for name, lane in lanes.items() if any(named is None or name in named for named in opening)}


def _seen(rule: Rule, people: People, repositories: Collection[str], known: Collection[str]) -> Rule | None:
    when = rule.when

    def without_strangers(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if name in known or name not in people.by_name)

    of = when.repositories
    own = None if of is None else tuple(name for name in of if name in repositories)
    asking = without_strangers(when.people)
    if own == () or (when.people and not asking):
        return None
    then = rule.then
    if isinstance(then, AllowEffect):
        needs = then.requirements
        needs = replace(
            needs,
            approvers=without_strangers(needs.approvers),
            merge_from=without_strangers(needs.merge_from),
            escalate_to=without_strangers(needs.escalate_to),
        )
        then = AllowEffect(needs)
    return replace(rule, when=replace(when, people=asking, repositories=own), then=then)
