"""The lifecycle page of the documentation."""

from __future__ import annotations

from core.model.lifecycle import diagram


def lifecycle_page() -> str:
    """The content of `docs/lifecycle.md`: the state diagram generated from the table."""
    return (
        "# The lifecycle of a task\n\n"
        "Generated from `core/model/lifecycle.py` by `make docs`; a test keeps it current. A revision that ends in\n"
        "`refused`, `rejected`, `expired`, `failed` or `cancelled` while an earlier one is published falls back\n"
        "to `published`.\n\n"
        f"```mermaid\n{diagram()}\n```\n"
    )
