"""`github`: a running fake GitHub; a test module gets it by importing the name.

from tests.fakes.github.fixtures import github  # noqa: F401 - a fixture
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.github.server import FakeGitHub


@pytest.fixture
def github(tmp_path: Path) -> Iterator[FakeGitHub]:
    """A GitHub with nothing in it; afterwards nothing may have been said that GitHub would not understand."""
    with FakeGitHub(tmp_path / "github") as hub:
        yield hub
    assert not hub.violations, "\n".join(hub.violations)
