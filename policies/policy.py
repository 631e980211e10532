"""The `Policy` port over rules, people and lanes; reads no file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property, lru_cache
from typing import Any

from core.model.change import FileChange
from core.model.decision import ApprovalRequirements, Decision, PolicyRequest
from core.model.errors import ConfigError
from core.model.lane import Lane, Limits
from core.model.person import People
from core.model.staged_diff import GuardReport
from policies import explain, globs, routing
from policies.index import PolicyIndex
from policies.protected import PROTECTED
from policies.rules import AllowEffect, Rule, Rules
from policies.team_rules import lanes_seen, rules_seen

_MOST_REMEMBERED, _MOST_REMEMBERED_FILES = 1_024, 50
"""How many findings are remembered, each of a change of at most so many files."""
DIGEST_DOMAIN = "countersign-policy-v1"


class RulePolicy:
    """`core.ports.policy.Policy` with the rules of a policy file.

    Raises `ConfigError` for a lane with invalid `write` or `protect` globs.
    """

    def __init__(self, rules: Rules, people: People, lanes: Mapping[str, Lane]) -> None:
        for lane in lanes.values():
            check_lane(lane)
        self._rules, self._lanes = rules, lanes
        self.index = PolicyIndex(rules, people, lanes)
        self._of_repository: dict[str, PolicyIndex] = {}

    @cached_property
    def digest(self) -> str:
        """64 hex digits over the rules, the lanes and the protected paths; comments do not count.

        People are left out, because their roles are checked again at every click.
        """
        content = {
            "domain": DIGEST_DOMAIN,
            "rules": [_digest_content(rule) for rule in self._rules.rules],
            "protect": [*PROTECTED, *self._rules.protect],
            "lanes": {name: _lane_content(lane) for name, lane in sorted(self._lanes.items())},
        }
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def decide(self, request: PolicyRequest) -> Decision:
        """The decision on a request: allow with a lane and its requirements, deny, or ask; never raises."""
        chosen = routing.route(self._index_of(request.repository), request)
        return Decision(
            effect=chosen.effect,
            why=chosen.why,
            policy_digest=self.digest,
            rule=chosen.rule.name if chosen.rule else None,
            lane=chosen.lane,
            requirements=chosen.requirements,
            question=chosen.question,
        )

    def trace(self, request: PolicyRequest) -> tuple[str, ...]:
        """How every rule and every lane evaluated the request, one line each."""
        return explain.trace(self._index_of(request.repository), request)

    def open_lanes(self, request: PolicyRequest) -> tuple[str, ...]:
        """The lanes that the person may use in the repository, whatever the paths."""
        return routing.open_lanes(self._index_of(request.repository), request)

    def lanes_of(self, repository: str) -> tuple[str, ...]:
        """The lanes that exist for a repository, sorted: once there are teams, those that a rule opens there."""
        return tuple(sorted(self._index_of(repository).lanes))

    def _index_of(self, repository: str) -> PolicyIndex:
        """The index as the team of a repository sees it, which decides alike there."""
        people = self.index.people
        if not people.teams.are_separate:
            return self.index
        if repository not in self._of_repository:
            team = people.of_repository(repository).by_name.keys()
            rules = rules_seen(self._rules, people, (repository,), team)
            self._of_repository[repository] = PolicyIndex(rules, people, lanes_seen(rules, self._lanes))
        return self._of_repository[repository]

    def requirements_of(self, request: PolicyRequest) -> ApprovalRequirements | None:
        """The current requirements of a request with a chosen lane; None if it would be denied now."""
        if request.lane is None:
            return None
        return routing.route(self._index_of(request.repository), request).requirements

    def objection_to_files(
        self, lane: str, requirements: ApprovalRequirements, files: Sequence[FileChange]
    ) -> str | None:
        """The first blocking finding of the guard's tree checks on `files` in this lane as it is now; None if none.

        It follows from the arguments alone, so that of small changes it is remembered: an inbox asks it of each.
        """
        compiled = self.index.lane(lane)
        if compiled is None:
            return f"the lane {lane} no longer exists"
        limits = compiled.lane.limits
        limits = limits.tightened(requirements.limits) if requirements.limits else limits
        check = self._remembered_objection if len(files) <= _MOST_REMEMBERED_FILES else self._objection
        return check(lane, limits, tuple(files))

    @cached_property
    def _remembered_objection(self) -> Callable[[str, Limits, tuple[FileChange, ...]], str | None]:
        return lru_cache(_MOST_REMEMBERED)(self._objection)

    def _objection(self, lane: str, limits: Limits, files: tuple[FileChange, ...]) -> str | None:
        from policies.checks import Scope  # noqa: PLC0415 - the patterns of secrets take a while to compile
        from policies.guard import check_tree  # noqa: PLC0415

        compiled = self.index.lane(lane)
        assert compiled is not None
        scope = Scope(files, compiled.lane, limits, compiled.write, compiled.protect)
        blocks = GuardReport(tuple(check_tree(scope))).blocks()
        return f"{blocks[0].path + ' ' if blocks[0].path else ''}{blocks[0].detail}" if blocks else None


def _digest_content(rule: Rule) -> dict[str, Any]:
    """A rule's content for the digest, with the keys of the first version, so that an upgrade changes no digest."""
    then = asdict(rule.then)
    if isinstance(rule.then, AllowEffect):
        then = {"terms": then["requirements"]}
    return {"name": rule.name, "when": asdict(rule.when), "then": then, "line": None, "does": type(rule.then).__name__}


def _lane_content(lane: Lane) -> dict[str, Any]:
    """A lane's content for the digest: without its file, and without `everywhere`, which repeats globs of `protect`."""
    return {key: value for key, value in asdict(lane).items() if key != "everywhere"} | {"source": ""}


def check_lane(lane: Lane) -> None:
    """Raise `ConfigError`, with the file, key and pattern, unless the lane's globs are valid."""
    for key in ("write", "protect"):
        for index, pattern in enumerate(getattr(lane, key)):
            if problem := globs.check(pattern):
                where = f"{key}[{index}]"
                message = f"the pattern {pattern!r} {problem}"
                raise ConfigError(lane.source or f"lane {lane.name}", None, where, message)
    if not lane.write:
        raise ConfigError(
            lane.source or f"lane {lane.name}", None, "write", "is empty", "List the globs that the lane may write."
        )
