"""``plugins:`` of countersign.yaml: which of the installed plugins are used, and their settings."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from pydantic import Field

from bot.plugins.find import GROUP, KINDS, OfferedPlugin, offering
from core.model.turn import SURFACES
from core.strict_yaml import StrictModel, YamlDocument

NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
MOST_CHARS: Final = 40
FORGES: Final = frozenset({"local", "github"})
_TAKEN: Final = {"surfaces": SURFACES | {"web"}, "forges": FORGES}
"""Names of our own. Those of executors are known where they are made: `lanes.wiring`."""

NamedSettings = dict[str, dict[str, Any]]


class RawPlugins(StrictModel):
    """``plugins``: for each kind the names that are enabled, with their settings; ``{}`` for none."""

    executors: NamedSettings = Field(default_factory=dict)
    surfaces: NamedSettings = Field(default_factory=dict)
    forges: NamedSettings = Field(default_factory=dict)
    guards: NamedSettings = Field(default_factory=dict)
    checks: NamedSettings = Field(default_factory=dict)
    notifiers: NamedSettings = Field(default_factory=dict)

    def of(self, kind: str) -> NamedSettings:
        """The names of one kind."""
        named: NamedSettings = getattr(self, kind)
        return named


@dataclass(frozen=True, slots=True)
class EnabledPlugin:
    """A plugin that countersign.yaml enables."""

    offered: OfferedPlugin
    settings: Mapping[str, Any] = field(default_factory=dict)


def enabled_of(document: YamlDocument, raw: RawPlugins) -> tuple[EnabledPlugin, ...]:
    """The plugins that a configuration enables, none of them imported; raises `ConfigError` with file, line and key."""
    return tuple(
        EnabledPlugin(_found(document, kind, name), MappingProxyType(settings))
        for kind in KINDS
        for name, settings in raw.of(kind).items()
    )


def names_of(enabled: tuple[EnabledPlugin, ...], kind: str) -> frozenset[str]:
    """The names of the enabled plugins of a kind."""
    return frozenset(one.offered.name for one in enabled if one.offered.kind == kind)


def _found(document: YamlDocument, kind: str, name: str) -> OfferedPlugin:
    at = ("plugins", kind, name)
    if not NAME.fullmatch(name) or len(name) > MOST_CHARS:
        raise document.error(at, "is no plugin's name", "Use small letters, digits and single dashes.")
    if name in _TAKEN.get(kind, ()):
        raise document.error(at, "is the name of a built-in one", "A plugin may not stand in for it; delete the line.")
    problem = obstacle(kind, name)
    if problem is not None:
        raise document.error(at, *problem)
    return offering(kind, name)[0]


def obstacle(kind: str, name: str) -> tuple[str, str] | None:
    """Why no plugin of this name can be used, and the mend; None when one distribution offers it."""
    found = offering(kind, name)
    if not found:
        mend = f"pip install the one that does into Countersign's environment ({sys.prefix}), or delete the line."
        return f"no installed distribution offers {GROUP}.{kind}/{name}", mend
    if len(found) > 1:
        sources = " and ".join(one.source for one in found)
        return f"{found[0].label} is offered by {sources}", "Uninstall all but one of them."
    return None
