"""The context that a plugin's factory is called with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.model.errors import Problem

if TYPE_CHECKING:
    from lanes.sandbox import Sandbox


@dataclass(frozen=True, slots=True)
class PluginContext:
    """What a plugin works with: its `name`, and its `settings` from countersign.yaml.

    `sandbox` returns the sandbox of a kind (bwrap, podman, docker, landlock), or the problem why this host has none.
    `log` is a structlog logger with the plugin's name bound.
    """

    name: str
    settings: Mapping[str, Any]
    folder: Path
    sandbox: Callable[[str], Sandbox | Problem]
    log: Any = field(repr=False)

    @property
    def scratch(self) -> Path:
        """The plugin's own folder in the home's state, created when it is first read; never deleted."""
        for folder in (*self.folder.parents[1::-1], self.folder):
            folder.mkdir(mode=0o700, exist_ok=True)
        return self.folder
