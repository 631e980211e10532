"""What the contract tests share: the printed schemas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.shapes import faults
from tests.homes import CliHome

Holds = Callable[[str, Any], None]


@pytest.fixture(scope="session")
def schemas(template_home: CliHome) -> dict[str, dict[str, Any]]:
    """Each document's JSON Schema, as the command prints it."""
    return {name: template_home.call("schema", name).json() for name in ("task", "event", "receipt")}


@pytest.fixture
def holds(schemas: dict[str, dict[str, Any]]) -> Holds:
    """Asserts that a document is as its schema says."""

    def check(name: str, document: Any) -> None:
        assert faults(document, schemas[name]) == []

    return check
