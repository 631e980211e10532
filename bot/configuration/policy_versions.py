"""The policies that tools compare: the one in force, and a proposed one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bot.configuration.home import Home
from bot.configuration.live_settings import Snapshot, load_snapshot, names_of
from core.ports.executor import Executor
from policies.compare import PolicyVersion
from policies.load import load_rules
from policies.policy import RulePolicy
from policies.protected import with_protected


def proposed_snapshot(path: Path, current: Snapshot) -> Snapshot:
    """The configuration with the policy in the file at `path`; or all of the configuration in that folder.

    A folder has countersign.yaml, policy.yaml and lanes, as a home has. Raises `ConfigError`, and `UsageError` for a
    folder that is no home.
    """
    if path.is_dir():
        home = Home(path)
        home.check()
        return load_snapshot(home)
    settings, config = current.settings, current.config
    rules = load_rules(path, names_of(config, dict(settings.lanes)))
    lanes = with_protected(settings.lanes, rules.protect)
    policy = RulePolicy(rules, config.people, lanes)
    return Snapshot(replace(settings, lanes=lanes, policy=policy), config, rules)


def version_of(snapshot: Snapshot, executors: Mapping[str, Executor]) -> PolicyVersion:
    """The policy of a snapshot, in the form in which policies are compared."""
    lanes = snapshot.settings.lanes
    by_rule = (name for name, lane in lanes.items() if _edits_by_rule(executors.get(lane.executor)))
    repositories = frozenset(snapshot.config.repositories)
    return PolicyVersion(snapshot.rules, snapshot.config.people, lanes, repositories, frozenset(by_rule))


def _edits_by_rule(executor: Executor | None) -> bool:
    return executor is not None and executor.deterministic
