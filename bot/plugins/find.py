"""Lists the installed plugins from distribution metadata, without importing them."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

KINDS: Final = ("executors", "surfaces", "forges", "guards", "checks", "notifiers")
GROUP: Final = "countersign"
"""Entry point groups are ``countersign.KIND`` (https://packaging.python.org/en/latest/specifications/entry-points/)."""


@dataclass(frozen=True, slots=True)
class OfferedPlugin:
    """A plugin that a distribution offers; `entry` is the entry point of its factory."""

    kind: str
    name: str
    distribution: str
    version: str
    entry: EntryPoint = field(repr=False, compare=False)

    @property
    def label(self) -> str:
        """The entry point's name in messages: ``countersign.executors/shout``."""
        return f"{GROUP}.{self.kind}/{self.name}"

    @property
    def source(self) -> str:
        """Its distribution and version."""
        return f"{self.distribution} {self.version}"


def installed_plugins() -> tuple[OfferedPlugin, ...]:
    """Every plugin of this environment, by kind, name and distribution; read once per process."""
    return _installed_on(tuple(sys.path))


@lru_cache(maxsize=8)
def _installed_on(_path: tuple[str, ...]) -> tuple[OfferedPlugin, ...]:
    from importlib import metadata  # slow to import, and most homes enable no plugin

    plugins = [
        OfferedPlugin(kind, entry.name, entry.dist.name, entry.dist.version, entry)
        for kind in KINDS
        for entry in metadata.entry_points(group=f"{GROUP}.{kind}")
        if entry.dist is not None
    ]
    return tuple(sorted(plugins, key=lambda plugin: (KINDS.index(plugin.kind), plugin.name, plugin.distribution)))


def plugins_named(kind: str, name: str) -> tuple[OfferedPlugin, ...]:
    """The installed plugins of this kind and name; more than one is an error."""
    return tuple(plugin for plugin in installed_plugins() if (plugin.kind, plugin.name) == (kind, name))
