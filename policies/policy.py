"""The policy in force: answers the heart's questions from rules, people and lanes. Pure; reads nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property

from core.model.change import FileChange
from core.model.decision import ApprovalRequirements, Decision, Effect, PolicyRequest
from core.model.errors import ConfigError
from core.model.lane import Lane
from core.model.person import People
from core.model.staged_diff import GuardReport
from policies import globs
from policies.explain import trace
from policies.protected import PROTECTED
from policies.routing import PolicyIndex
from policies.rules import Rules

DIGEST_DOMAIN = "countersign-policy-v1"


class RulePolicy:
    """`core.ports.Policy` by the rules of a policy file.

    Raises `ConfigError` for a lane whose `write` or `protect` globs are not anchored ones.
    """

    def __init__(self, rules: Rules, people: People, lanes: Mapping[str, Lane]) -> None:
        for lane in lanes.values():
            check_lane(lane)
        self._rules, self._people, self._lanes = rules, people, lanes
        self._map = PolicyIndex(rules, people, lanes)

    @cached_property
    def digest(self) -> str:
        """64 hex digits over the rules, the lanes they open and what is protected; comments do not count.

        People are left out: their roles are asked anew at every click.
        """
        said = {
            "domain": DIGEST_DOMAIN,
            "rules": [{**asdict(r), "line": None, "does": type(r.then).__name__} for r in self._rules.rules],
            "protect": [*PROTECTED, *self._rules.protect],
            "lanes": {name: {**asdict(lane), "source": ""} for name, lane in sorted(self._lanes.items())},
        }
        canonical = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def decide(self, petition: PolicyRequest) -> Decision:
        """Allow with a lane and terms, deny, or ask; never raises, whatever the petition says."""
        route = self._map.route(petition)
        allowed = route.effect is Effect.ALLOW
        return Decision(
            effect=route.effect,
            reason=route.reason,
            policy_digest=self.digest,
            rule=route.rule.name if route.rule else None,
            lane=route.chosen.name if route.chosen else None,
            terms=route.chosen.terms if allowed and route.chosen else None,
            question=route.question,
            trace=trace(route, self._rules, self._people, petition),
        )

    def open_lanes(self, petition: PolicyRequest) -> tuple[str, ...]:
        """The lanes that the person may use there at all, whatever the paths will be."""
        return self._map.open_lanes(petition)

    def terms_of(self, petition: PolicyRequest) -> ApprovalRequirements | None:
        """The live terms for a request whose lane is already chosen, or None if it would be denied now."""
        return self.decide(petition).terms if petition.lane is not None else None

    def hindrance(self, lane: str, terms: ApprovalRequirements, files: Sequence[FileChange]) -> str | None:
        """The first thing that the guard's checks on the tree hold against `files` in this lane, as it is now."""
        from policies.checks import Scope  # noqa: PLC0415 - the patterns of secrets take a while to compile
        from policies.guard import judge_tree  # noqa: PLC0415

        post = next((post for post in self._map.posts if post.lane.name == lane), None)
        if post is None:
            return f"there is no lane {lane} any more"
        limits = post.lane.limits.tightened(terms.limits) if terms.limits else post.lane.limits
        report = GuardReport(tuple(judge_tree(Scope(tuple(files), post.lane, limits, post.write, post.protect))))
        blocks = report.blocks()
        return f"{blocks[0].path + ' ' if blocks[0].path else ''}{blocks[0].detail}" if blocks else None


def check_lane(lane: Lane) -> None:
    """Raise `ConfigError` unless the lane's globs are anchored; names its file, key and pattern."""
    for key in ("write", "protect"):
        for index, pattern in enumerate(getattr(lane, key)):
            if wrong := globs.check(pattern):
                where = f"{key}[{index}]"
                message = f"the pattern {pattern!r} {wrong}"
                raise ConfigError(lane.source or f"lane {lane.name}", None, where, message)
    if not lane.write:
        raise ConfigError(lane.source or f"lane {lane.name}", None, "write", "is empty", "Name what it may write.")
