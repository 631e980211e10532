"""Builders of policies, lanes and changes for tests."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from core.model.change import ABSENT, GITLINK, REGULAR, Change, FileChange
from core.model.decision import Decision, PolicyRequest
from core.model.lane import Lane
from core.model.person import People
from core.model.staged_diff import Finding, GuardReport, GuardVerdict
from policies.compare import PolicyVersion
from policies.guard import TreeGuard
from policies.load import parse_rules, starter_policy
from policies.policy import RulePolicy
from policies.protected import with_protected
from policies.rules import BUILT_IN_ROLES, NameList, Rules
from tests.builders import BASE, people, terms

LANES = {
    "docs": Lane("docs", "words", ("docs/**", "**/*.md"), "edit"),
    "config": Lane(
        "config", "settings", ("config/**", "*.toml", "*.yaml", "*.yml", "*.json", "*.ini", "*.cfg"), "edit"
    ),
    "code": Lane("code", "the rest", ("**",), "ollama"),
}
CREW = people(ana="member", lee="maintainer", max="maintainer", eve="contractor")

ALLOW = "allow: {approvals: {count: 1, from: [maintainer]}}"


def names(who: People = CREW, lanes: Mapping[str, Lane] = LANES) -> NameList:
    roles = who.roles() | BUILT_IN_ROLES
    surfaces = frozenset({"terminal", "telegram", "slack", "web"})  # a policy knows only what it is told
    return NameList(frozenset(who.by_name), roles, frozenset(lanes), frozenset({"web", "infra"}), surfaces)


def parsed(text: str, who: People = CREW, lanes: Mapping[str, Lane] = LANES) -> Rules:
    return parse_rules(text.encode(), "policy.yaml", names(who, lanes))


def policy(text: str | None = None, who: People = CREW, lanes: Mapping[str, Lane] = LANES) -> RulePolicy:
    """The starter policy, or rules as written after ``version: 1``."""
    whole = starter_policy() if text is None else f"version: 1\n{text}"
    return RulePolicy(parsed(whole, who, lanes), who, lanes)


REPOSITORIES = frozenset({"web", "infra"})


def version(rules: Rules | None = None, who: People = CREW, lanes: Mapping[str, Lane] = LANES) -> PolicyVersion:
    """A policy in the form in which policies are compared; the starter policy without rules."""
    rules = rules or parsed(starter_policy())
    return PolicyVersion(rules, who, with_protected(lanes, rules.protect), REPOSITORIES, BY_RULE & lanes.keys())


BY_RULE = frozenset({"docs", "config"})
"""The lanes whose executor makes known edits and nothing else."""


def request(*paths: str, **others: Any) -> PolicyRequest:
    given: dict[str, Any] = {"person": "ana", "surface": "terminal", "repository": "web", "edited_by_rule": BY_RULE}
    return PolicyRequest(paths=paths, **{**given, **others})


def decide(law: RulePolicy, *paths: str, **others: Any) -> Decision:
    return law.decide(request(*paths, **others))


Side = Mapping[Any, bytes | tuple[str, bytes]]


class Tree:
    """Two sides of a change, path by path: bytes, or a mode and bytes. Serves as the reader of its blobs."""

    def __init__(self, before: Side, after: Side) -> None:
        self.blobs: dict[str, bytes] = {}
        self.read: list[str] = []
        old, new = self._side(before), self._side(after)
        paths = sorted(p for p in old.keys() | new.keys() if old.get(p) != new.get(p))
        files = tuple(self._file(p, old.get(p), new.get(p)) for p in paths)
        self.change = Change("repo-1", BASE, "c" * 40, files, {path: mode for path, (mode, _) in new.items()})

    def _side(self, side: Side) -> dict[bytes, tuple[str, bytes]]:
        plain = {}
        for path, value in side.items():
            entry = value if isinstance(value, tuple) else (REGULAR, value)
            plain[path.encode() if isinstance(path, str) else path] = entry
            self.blobs[_oid(entry[1])] = entry[1]
        return plain

    def _file(self, path: bytes, old: tuple[str, bytes] | None, new: tuple[str, bytes] | None) -> FileChange:
        def side(entry: tuple[str, bytes] | None) -> tuple[str, str | None, str | None, int]:
            if entry is None:
                return ABSENT, None, None, 0
            size = 0 if entry[0] == GITLINK else len(entry[1])
            return entry[0], _oid(entry[1]), hashlib.sha256(entry[1]).hexdigest(), size

        (old_mode, old_blob, old_sha, old_size), (mode, blob, sha, size) = side(old), side(new)
        return FileChange(path, old_mode, mode, old_blob, blob, old_sha, sha, old_size, size, 1, 1)

    async def __call__(self, oid: str) -> bytes:
        self.read.append(oid)
        return self.blobs[oid]


def _oid(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


ANYWHERE = Lane("any", "all", ("**",), "edit")


async def judge(tree: Tree, lane: Lane = ANYWHERE, **promised: Any) -> GuardReport:
    return await TreeGuard().judge(tree.change, lane, terms(**promised), tree)


async def judged(after: Side, before: Side | None = None, lane: Lane = ANYWHERE, **promised: Any) -> GuardReport:
    return await judge(Tree(before or {}, after), lane, **promised)


def of(report: GuardReport, check: str) -> list[Finding]:
    return [f for f in report.findings if f.check == check]


def blocked(report: GuardReport, check: str) -> bool:
    return any(f.verdict is GuardVerdict.BLOCK for f in of(report, check))


def warned(report: GuardReport, check: str) -> bool:
    return any(f.verdict is GuardVerdict.WARN for f in of(report, check))
