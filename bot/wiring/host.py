"""What this host provides: its sandboxes, and the user who runs this process."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.model.errors import Problem
    from lanes.sandbox import Sandbox, Sandboxes


class LazySandboxes:
    """The sandboxes of this host, each probed once; imports `lanes.sandbox` on first use."""

    @cached_property
    def _sandboxes(self) -> Sandboxes:
        from lanes.sandbox import Sandboxes

        return Sandboxes()

    def of(self, kind: str) -> Sandbox | Problem:
        """The sandbox of a kind, or why this host has none."""
        return self._sandboxes.get(kind)


def operating_user() -> str:
    """The name of the operating system's user, the identity of surface `terminal`."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"
