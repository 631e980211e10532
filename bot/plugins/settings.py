"""The ``plugins:`` section of countersign.yaml: which installed plugins are used, and their settings."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from pydantic import Field

from bot.plugins.find import GROUP, KINDS, OfferedPlugin, plugins_named
from core.model.turn import SURFACES
from core.strict_yaml import StrictModel, YamlDocument

NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
MAX_NAME_CHARS: Final = 40
FORGES: Final = frozenset({"local", "github"})
_RESERVED: Final = {"surfaces": SURFACES, "forges": FORGES}
"""Names of built-in surfaces and forges; names of built-in executors are checked in `lanes.wiring`."""

NamedSettings = dict[str, dict[str, Any]]


class RawPlugins(StrictModel):
    """``plugins``: for each kind, the enabled names with their settings; ``{}`` for no settings."""

    executors: NamedSettings = Field(default_factory=dict)
    surfaces: NamedSettings = Field(default_factory=dict)
    forges: NamedSettings = Field(default_factory=dict)
    guards: NamedSettings = Field(default_factory=dict)
    checks: NamedSettings = Field(default_factory=dict)
    notifiers: NamedSettings = Field(default_factory=dict)

    def of(self, kind: str) -> NamedSettings:
        """The enabled plugins of one kind."""
        plugins: NamedSettings = getattr(self, kind)
        return plugins


@dataclass(frozen=True, slots=True)
class EnabledPlugin:
    """A plugin that countersign.yaml enables."""

    offered: OfferedPlugin
    settings: Mapping[str, Any] = field(default_factory=dict)


def enabled_of(document: YamlDocument, raw: RawPlugins) -> tuple[EnabledPlugin, ...]:
    """The plugins that a configuration enables, without importing any.

    Raises `ConfigError` with file, line and key.
    """
    return tuple(
        EnabledPlugin(_find(document, kind, name), MappingProxyType(settings))
        for kind in KINDS
        for name, settings in raw.of(kind).items()
    )


def names_of(enabled: tuple[EnabledPlugin, ...], kind: str) -> frozenset[str]:
    """The names of the enabled plugins of a kind."""
    return frozenset(plugin.offered.name for plugin in enabled if plugin.offered.kind == kind)


def _find(document: YamlDocument, kind: str, name: str) -> OfferedPlugin:
    at = ("plugins", kind, name)
    if not NAME.fullmatch(name) or len(name) > MAX_NAME_CHARS:
        raise document.error(at, "is not a valid plugin name", "Use lower-case letters, digits and single dashes.")
    if name in _RESERVED.get(kind, ()):
        raise document.error(at, f"is the name of a built-in {kind[:-1]}", "No plugin can replace it; delete it.")
    problem = obstacle(kind, name)
    if problem is not None:
        raise document.error(at, *problem)
    return plugins_named(kind, name)[0]


def obstacle(kind: str, name: str) -> tuple[str, str] | None:
    """Why no plugin of this name can be used, and the fix; None when exactly one distribution offers it."""
    plugins = plugins_named(kind, name)
    if not plugins:
        mend = f"Use pip install in Countersign's environment ({sys.prefix}) to add one, or delete the line."
        return f"no installed distribution offers {GROUP}.{kind}/{name}", mend
    if len(plugins) > 1:
        sources = " and ".join(plugin.source for plugin in plugins)
        return f"{plugins[0].label} is offered by {sources}", "Uninstall all but one of them."
    return None
