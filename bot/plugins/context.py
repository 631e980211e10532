"""What a plugin's factory is given."""

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
    """What a plugin works with: its `name`, and its `settings` as countersign.yaml has them.

    `sandbox` finds the sandbox of a kind (bwrap, podman, docker, landlock), or says why this host has none. `log` is
    structlog's, with the plugin's name bound.
    """

    name: str
    settings: Mapping[str, Any]
    folder: Path
    sandbox: Callable[[str], Sandbox | Problem]
    log: Any = field(repr=False)

    @property
    def scratch(self) -> Path:
        """A folder of the plugin's own below the home's state, made when it is first asked for; it is kept."""
        for folder in (*self.folder.parents[1::-1], self.folder):
            folder.mkdir(mode=0o700, exist_ok=True)
        return self.folder
