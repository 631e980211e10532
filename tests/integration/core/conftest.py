"""Core over a real store."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.store.database import Database
from tests import campaign
from tests.office import Office
from tests.workbench import Workbench


@pytest.fixture
def office(database: Database) -> Office:
    """The services over this test's database."""
    return Office(database)


@pytest.fixture
def bench(database: Database, tmp_path: Path) -> Workbench:
    """Services and workers over this test's database; `test_worker` has one on the real engine."""
    return Workbench(database, home=tmp_path, durable=campaign.WHOLE)
