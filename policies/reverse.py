"""Reverse questions: who may change a path, and what a person may do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product

from core.model.decision import ApprovalRequirements, Decision, Effect, PolicyRequest
from core.model.turn import SURFACES
from policies.compare import PolicyVersion


@dataclass(frozen=True, slots=True)
class LanePermission:
    """A lane that is open: each of `requesters` may ask for changes on each of the surfaces, in each repository.

    `requirements` say what approvals a change needs, and `approvers` are the people who may give one now.
    """

    lane: str
    requirements: ApprovalRequirements
    requesters: tuple[str, ...]
    surfaces: tuple[str, ...]
    repositories: tuple[str, ...]
    approvers: tuple[str, ...]


def permissions(version: PolicyVersion, people: Iterable[str], paths: tuple[str, ...] = ()) -> list[LanePermission]:
    """Every lane that is open to some of these people for `paths`, which are all in it; sorted by lane and rule."""
    surfaces: dict[tuple[str, ApprovalRequirements, str, str], list[str]] = {}
    for request, decision in _decisions(version, people, paths):
        if decision.effect is Effect.ALLOW and decision.lane is not None and decision.requirements is not None:
            key = decision.lane, decision.requirements, request.person, request.repository
            surfaces.setdefault(key, []).append(request.surface)
    repositories: dict[tuple[str, ApprovalRequirements, str, tuple[str, ...], str | None], list[str]] = {}
    for (lane, needs, person, repository), on in surfaces.items():
        team = version.people.teams.owner_of(repository)  # each has its own approvers
        repositories.setdefault((lane, needs, person, tuple(on), team), []).append(repository)
    requesters: dict[tuple[str, ApprovalRequirements, tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for (lane, needs, person, surface_names, _team), names in repositories.items():
        requesters.setdefault((lane, needs, surface_names, tuple(names)), []).append(person)
    found = [
        LanePermission(lane, needs, tuple(who), on, of, version.people.of_repository(of[0]).matching(needs.approvers))
        for (lane, needs, on, of), who in requesters.items()
    ]
    return sorted(found, key=lambda each: (each.lane, each.requirements.rule, each.requesters))


def refusals(version: PolicyVersion, people: Iterable[str], paths: tuple[str, ...]) -> list[str]:
    """Why these people may not change `paths` in one lane or another; each reason once."""
    refused = (decision for _, decision in _decisions(version, people, paths) if decision.effect is Effect.DENY)
    return list(dict.fromkeys(decision.reason for decision in refused))


def _decisions(
    version: PolicyVersion, people: Iterable[str], paths: tuple[str, ...]
) -> Iterator[tuple[PolicyRequest, Decision]]:
    """The decisions on requests that name a lane, for each person, repository, surface and lane."""
    for person, repository, surface, lane in product(
        sorted(people), sorted(version.repositories), sorted(SURFACES), sorted(version.lanes)
    ):
        request = PolicyRequest(person, surface, repository, paths, lane)
        yield request, version.policy.decide(request)
