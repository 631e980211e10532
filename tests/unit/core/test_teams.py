"""People and their roles by team, and what they see."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.errors import NotFoundError
from core.model.limits import Limit, LimitScope, QueueKeys
from core.model.person import People, Person
from core.model.place import EVERY_REPOSITORY, RepositoryScope
from core.model.role import Role
from core.model.team import DEFAULT_TEAM, Teams
from core.model.turn import Actor
from core.rules.visibility import visibility_of
from tests import builders

pytestmark = pytest.mark.law

TEAMS = Teams(frozenset({"shop", "pay"}), {"web": "shop", "app": "shop", "ledger": "pay", "docs": DEFAULT_TEAM})


def member(name: str, **teams: str) -> Person:
    return Person(name, teams={team: frozenset(roles.split()) for team, roles in teams.items()}, is_home_wide=False)


PEOPLE = People(
    {
        each.name: each
        for each in (
            member("ana", shop="member"),
            member("lee", shop="maintainer", pay="viewer"),
            member("max", pay="maintainer"),
            member("bo", default="member"),
            Person("kim", frozenset({"operator"})),
        )
    },
    TEAMS,
)


def seen(actor: Actor):
    return visibility_of(builders.settings(people=PEOPLE), actor)


def test_a_person_sees_the_repositories_of_their_teams():
    expected = {"ana": ("app", "web"), "lee": ("app", "ledger", "web"), "max": ("ledger",), "bo": ("docs",), "gone": ()}
    assert {name: PEOPLE.seen_by(name).names for name in expected} == expected
    assert PEOPLE.seen_by("kim").names is None
    assert PEOPLE.seen_by("lee", Role.REQUESTER).names == ("app", "web")
    assert set(PEOPLE.seen_by("kim", Role.OPERATOR).names or ()) == TEAMS.owners.keys()


def test_roles_count_where_they_were_given():
    assert PEOPLE.of_repository("web").matching(["maintainer"]) == ("lee",)
    assert PEOPLE.of_repository("ledger").matching(["maintainer"]) == ("max",)
    assert PEOPLE.of_repository("ledger").matching_with(["viewer", "maintainer"], Role.APPROVER) == ("max",)
    assert PEOPLE.of_repository("web").by_name.keys() == {"ana", "lee", "kim"}
    assert PEOPLE.of_repository("removed").by_name.keys() == {"kim"}
    assert PEOPLE.of_repository(None).named("lee").bound is Role.ADMIN
    assert PEOPLE.named("lee").bound is Role.APPROVER
    with pytest.raises(NotFoundError, match="max is not in the team shop"):
        PEOPLE.of_repository("web").named("max")
    assert PEOPLE.colleagues_of("ana") == {"ana", "lee", "kim"}


def test_in_a_home_without_teams_everyone_sees_everything():
    people = builders.people()
    assert people.of_repository("web") is people
    assert people.seen_by("ana") == EVERY_REPOSITORY == people.seen_by("gone")
    assert people.colleagues_of("ana") == people.by_name.keys()


names = st.sampled_from(["web", "app", "ledger", "docs", "removed"])
scopes = st.one_of(
    st.just(EVERY_REPOSITORY), st.lists(names, unique=True).map(lambda found: RepositoryScope(tuple(found)))
)
persons = st.sampled_from([*PEOPLE.by_name, "gone"])


@given(st.one_of(st.none(), names), scopes, persons, persons, scopes)
def test_nothing_is_shown_that_is_not_of_ones_teams(repo, scope, requester, person, channel):
    visibility, own = seen(Actor(person, "web", scope=channel)), PEOPLE.seen_by(person).names
    if not visibility.shows(repo, scope, requester) or own is None:
        return
    if repo is not None:
        assert repo in own
        assert channel.covers(repo)
    elif requester != person:
        possible = scope.within(PEOPLE.seen_by(requester)).names
        assert possible is not None
        assert set(possible) <= set(own)


@given(scopes, scopes)
def test_two_scopes_together_hold_what_is_in_both(one, other):
    both = one.within(other)
    for name in ("web", "app", "ledger", "docs"):
        assert both.covers(name) == (one.covers(name) and other.covers(name))
    assert one.contains(both)
    assert other.contains(both)


def test_the_operator_and_the_system_see_everything():
    for actor in (Actor(), Actor(None, "terminal", is_operator=True), Actor("ana", "terminal", is_operator=True)):
        assert seen(actor).is_whole
    assert not seen(Actor("ana", "terminal")).is_whole


def test_a_limit_of_a_team_counts_its_repositories():
    each, shop = Limit("fair", LimitScope.TEAM, running=1), Limit("s", LimitScope.TEAM, frozenset({"shop", "member"}))
    assert each.keys_of(QueueKeys("ana", "code", "web"), PEOPLE) == ["shop"]
    assert each.keys_of(QueueKeys("kim", "code", "docs"), PEOPLE) == [DEFAULT_TEAM]
    assert each.keys_of(QueueKeys("ana", "code", None), PEOPLE) == []
    assert shop.keys_of(QueueKeys("ana", "code", "app"), PEOPLE) == ["member", "shop"]
    assert shop.keys_of(QueueKeys("max", "code", "ledger"), PEOPLE) == []
    assert each.keys_of(QueueKeys("ana", "code", "web"), builders.people(ana="member")) == ["member"]
