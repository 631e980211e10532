"""The configuration in force: countersign.yaml, policy.yaml and lanes/*.yaml, reloaded together when they change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.configuration.config import Config, load_config
from bot.configuration.home import Home
from bot.configuration.limits import check_lanes
from bot.configuration.models import check_lane_models
from core.log import log
from core.model.errors import CountersignError, Kind, PermanentError
from core.model.lane import Lane, LaneCheck
from core.settings import Settings

if TYPE_CHECKING:
    from bot.plugins.load import Plugins
    from policies.rules import NameList, Rules

BuildPlugins = Callable[[Config], "Plugins"]
"""Builds the plugins of this process for a configuration."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of a home's configuration, read at one time: the settings for core, and what they were built from.

    Each section of `config` that needs secrets is read at most once.
    """

    settings: Settings
    config: Config
    rules: Rules


def load_settings(home: Home) -> Settings:
    """The settings for core; raises `ConfigError`."""
    return load_snapshot(home).settings


def load_snapshot(home: Home, plugins: BuildPlugins | None = None) -> Snapshot:
    """Read the home's configuration; raises `ConfigError` with file, line and key.

    Without `plugins`, those that the configuration enables are built for this snapshot alone.
    """
    from lanes.registry import load_lanes
    from policies.load import load_rules
    from policies.masking import mask_text
    from policies.policy import RulePolicy
    from policies.protected import with_protected

    config = _reading_once(load_config(home.config))
    built = plugins(config) if plugins is not None else build_plugins(config, home)
    lanes = load_lanes(home.lanes, _checks_of(built, config))
    check_lane_models(lanes, config.endpoints)
    check_lanes(home.config, config.limits, lanes)
    rules = load_rules(home.policy, names_of(config, lanes))
    lanes = with_protected(lanes, rules.protect)
    settings = Settings(
        people=config.people,
        repositories=config.repositories,
        lanes=lanes,
        policy=RulePolicy(rules, config.people, lanes),
        timing=config.timing,
        mask=mask_text,
        zone=config.zone,
        surface_classes=config.surface_classes,
        limits=config.limits,
    )
    return Snapshot(settings, config, rules)


def build_plugins(config: Config, home: Home) -> Plugins:
    """The plugins that a configuration enables; each is imported when first needed."""
    from bot.plugins.load import Plugins

    return Plugins(config.plugins, home.state)


def _reading_once(config: Config) -> Config:
    """The configuration, with sections that read their secrets at most once."""
    return replace(
        config,
        hooks=cache(config.hooks),
        trackers=cache(config.trackers),
        models=cache(config.models),
        surfaces=cache(config.surfaces),
        github_access=cache(config.github_access),
    )


def _checks_of(plugins: Plugins, config: Config) -> Callable[[str], LaneCheck]:
    """Returns a function that finds a lane's check; a check enabled after this process started needs a restart."""
    from bot.plugins.settings import names_of as plugin_names

    added = plugin_names(config.plugins, "checks") - plugin_names(plugins.enabled, "checks")

    def check(name: str) -> LaneCheck:
        if name in added:
            message = f"The check {name!r} was enabled after this process started"
            raise PermanentError("restart_needed", message, "Restart Countersign.", kind=Kind.UNAVAILABLE)
        return plugins.check(name)

    return check


def names_of(config: Config, lanes: dict[str, Lane]) -> NameList:
    """Every name that a rule of this home may use."""
    from policies.rules import BUILT_IN_ROLES, NameList

    return NameList(
        people=frozenset(config.people.by_name),
        roles=config.roles | BUILT_IN_ROLES,
        lanes=frozenset(lanes),
        repositories=frozenset(config.repositories),
        surfaces=config.surface_names(),
    )


@dataclass(slots=True)
class LiveSettings:
    """The snapshot in force, reloaded as a whole when a file changes; an invalid edit keeps the last valid one (139).

    It is a `core.settings.SettingsSource`. `plugins` builds the plugins for the first snapshot; all later ones use the
    same, so changes of `plugins:` take effect at the next start.
    """

    home: Home
    build: BuildPlugins | None = None
    _plugins: Plugins | None = None
    _stamp: tuple[Any, ...] = ()
    _snapshot: Snapshot | None = None
    _required: frozenset[str] = frozenset()
    _reported: str = ""
    problems: list[str] = field(default_factory=list)

    def __call__(self) -> Settings:
        """The settings in force now; raises `ConfigError` only when no valid ones were ever loaded."""
        return self.snapshot().settings

    def config(self) -> Config:
        """countersign.yaml in force now, from the same snapshot as the settings."""
        return self.snapshot().config

    def plugins(self) -> Plugins:
        """The plugins of this process."""
        self.snapshot()
        assert self._plugins is not None
        return self._plugins

    def require(self, *sections: str) -> None:
        """Read these sections of `Config.sections` (all, if none is named) now; raises `UsageError`.

        From now on a snapshot in which one of them is not valid or lacks a secret is refused like any invalid edit.
        """
        config = self.config()
        required = frozenset(sections) or frozenset(config.sections())
        _check(config, required)
        self._required |= required

    def snapshot(self) -> Snapshot:
        """The snapshot in force now; raises `ConfigError` only when no valid one was ever loaded."""
        stamp = self._file_stamps()
        if self._snapshot is not None and stamp == self._stamp:
            return self._snapshot
        try:
            snapshot = load_snapshot(self.home, self._plugins_for)
            _check(snapshot.config, self._required)
            self._snapshot = snapshot
            self.problems.clear()
        except CountersignError as error:
            if self._snapshot is None:
                self._plugins = None
                raise
            if str(error) != self._reported:
                self._reported = str(error)
                log.error("configuration_refused", problem=str(error), kept="the last valid one stays in force")
            self.problems[:] = [str(error)]
        self._stamp = stamp
        return self._snapshot

    def _plugins_for(self, config: Config) -> Plugins:
        if self._plugins is None:
            self._plugins = self.build(config) if self.build is not None else build_plugins(config, self.home)
        return self._plugins

    def _file_stamps(self) -> tuple[Any, ...]:
        files = [self.home.config, self.home.policy, *sorted(self.home.lanes.glob("*.yaml"))]
        return tuple((str(path), *_stat(path)) for path in files)


def _check(config: Config, sections: frozenset[str]) -> None:
    """Read the sections; raises `UsageError` for the first that is not valid or lacks a secret."""
    for name, read in config.sections().items():
        if name in sections:
            read()


def _stat(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_size, status.st_ino)
