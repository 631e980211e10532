"""Identifiers: prefixed and sortable by time, from an injected generator."""

from __future__ import annotations

from collections.abc import Callable

from ulid import ULID

NewId = Callable[[str], str]
"""Makes a new id for a prefix: ``new_id("job")`` gives ``job_01…``."""


def new_id(prefix: str) -> str:
    """A fresh id, e.g. ``task_01j9…``; ids made later sort later."""
    return f"{prefix}_{ULID()}".lower()
