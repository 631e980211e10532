"""Prefixed identifiers that sort by time."""

from __future__ import annotations

from collections.abc import Callable

from ulid import ULID

NewId = Callable[[str], str]
"""Makes a new id for a prefix: ``new_id("job")`` returns ``job_01…``."""


def new_id(prefix: str) -> str:
    """A fresh id such as ``task_01j9…``; later ids sort later."""
    return f"{prefix}_{ULID()}".lower()
