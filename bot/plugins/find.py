"""Which plugins are installed: read from what distributions say of themselves; nothing of theirs is imported."""

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
    """One plugin that a distribution offers; `entry` leads to its factory."""

    kind: str
    name: str
    distribution: str
    version: str
    entry: EntryPoint = field(repr=False, compare=False)

    @property
    def label(self) -> str:
        """What it is called in messages: ``countersign.executors/shout``."""
        return f"{GROUP}.{self.kind}/{self.name}"

    @property
    def source(self) -> str:
        """Its distribution and version."""
        return f"{self.distribution} {self.version}"


def offered() -> tuple[OfferedPlugin, ...]:
    """Every plugin of this environment, by kind, name and distribution; looked up once in a process."""
    return _offered(tuple(sys.path))


@lru_cache(maxsize=8)
def _offered(_path: tuple[str, ...]) -> tuple[OfferedPlugin, ...]:
    from importlib import metadata  # takes a while to load, and most homes enable none

    found = [
        OfferedPlugin(kind, entry.name, entry.dist.name, entry.dist.version, entry)
        for kind in KINDS
        for entry in metadata.entry_points(group=f"{GROUP}.{kind}")
        if entry.dist is not None
    ]
    return tuple(sorted(found, key=lambda one: (KINDS.index(one.kind), one.name, one.distribution)))


def offering(kind: str, name: str) -> tuple[OfferedPlugin, ...]:
    """The distributions that offer the plugin `name` of this kind; more than one is one too many."""
    return tuple(one for one in offered() if (one.kind, one.name) == (kind, name))
