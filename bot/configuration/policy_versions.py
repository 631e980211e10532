"""The policies that tools compare: the one in force, and a proposed one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bot.configuration.home import Home
from bot.configuration.live_settings import Snapshot, load_snapshot, names_of
from core.ports.executor import Executor
from policies.compare import PolicyVersion
from policies.load import load_rules
from policies.protected import with_protected
from policies.rules import Rules


def version_in_force(snapshot: Snapshot, executors: Mapping[str, Executor]) -> PolicyVersion:
    """The policy of a snapshot."""
    return _version(snapshot, snapshot.rules, executors)


def proposed_version(path: Path, snapshot: Snapshot, executors: Mapping[str, Executor]) -> PolicyVersion:
    """The policy in the file at `path`, with the rest of the snapshot; or all of the configuration in that folder.

    A folder has countersign.yaml, policy.yaml and lanes, as a home has. Raises `ConfigError`, and `UsageError` for a
    folder that is no home.
    """
    if path.is_dir():
        home = Home(path)
        home.check()
        proposed = load_snapshot(home)
        return _version(proposed, proposed.rules, executors)
    rules = load_rules(path, names_of(snapshot.config, dict(snapshot.settings.lanes)))
    return _version(snapshot, rules, executors)


def _version(snapshot: Snapshot, rules: Rules, executors: Mapping[str, Executor]) -> PolicyVersion:
    lanes = with_protected(snapshot.settings.lanes, rules.protect)
    return PolicyVersion(
        rules,
        snapshot.config.people,
        lanes,
        frozenset(snapshot.config.repositories),
        frozenset(name for name, lane in lanes.items() if _edits_by_rule(executors.get(lane.executor))),
    )


def _edits_by_rule(executor: Executor | None) -> bool:
    return executor is not None and executor.deterministic
