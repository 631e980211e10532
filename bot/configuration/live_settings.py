"""The settings in force: countersign.yaml, policy.yaml and lanes/*.yaml as one snapshot, reloaded when they change."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.configuration.config import Config, load_config
from bot.configuration.home import Home
from bot.configuration.models import check_lane_models
from core.log import log
from core.model.errors import CountersignError
from core.model.lane import Lane
from core.settings import Settings

if TYPE_CHECKING:
    from policies.rules import NameList, Rules


def load_settings(home: Home) -> Settings:
    """Load the home's configuration as one consistent snapshot; raises `ConfigError`."""
    return load_all(home)[0]


def load_all(home: Home) -> tuple[Settings, Config, Rules]:
    """The snapshot, with the configuration and the rules that it was built from."""
    from bot.plugins.load import Plugins
    from lanes.registry import load_lanes
    from policies.load import load_rules
    from policies.masking import mask_shown
    from policies.policy import RulePolicy
    from policies.protected import protecting

    config = load_config(home.config)
    lanes = load_lanes(home.lanes, Plugins(config.plugins, home.state).check)
    check_lane_models(lanes, config.endpoints)
    rules = load_rules(home.policy, names_of(config, lanes))
    lanes = protecting(lanes, rules.protect)
    settings = Settings(
        people=config.people,
        repositories=config.repositories,
        lanes=lanes,
        policy=RulePolicy(rules, config.people, lanes),
        timing=config.timing,
        mask=mask_shown,
    )
    return settings, config, rules


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
    """The settings in force, reloaded when a file changes; an invalid edit keeps the last valid ones (139)."""

    home: Home
    _stamp: tuple[Any, ...] = ()
    _settings: Settings | None = None
    _reported: str = ""
    problems: list[str] = field(default_factory=list)

    def __call__(self) -> Settings:
        """The settings in force now; raises `ConfigError` only when no valid settings were ever loaded."""
        stamp = self._file_stamps()
        if self._settings is not None and stamp == self._stamp:
            return self._settings
        try:
            self._settings = load_settings(self.home)
            self.problems.clear()
        except CountersignError as error:
            if self._settings is None:
                raise
            if str(error) != self._reported:
                self._reported = str(error)
                log.error("configuration_refused", problem=str(error), kept="the last good one stays in force")
            self.problems[:] = [str(error)]
        self._stamp = stamp
        return self._settings

    def _file_stamps(self) -> tuple[Any, ...]:
        files = [self.home.config, self.home.policy, *sorted(self.home.lanes.glob("*.yaml"))]
        return tuple((str(path), *_stat(path)) for path in files)


def _stat(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_size, status.st_ino)
