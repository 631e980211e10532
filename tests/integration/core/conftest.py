"""Core over a real store."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.store.database import Database
from tests import campaign
from tests.service_harness import ServiceHarness
from tests.worker_harness import WorkerHarness


@pytest.fixture
def services(database: Database) -> ServiceHarness:
    """The services over this test's database."""
    return ServiceHarness(database)


@pytest.fixture
def harness(database: Database, tmp_path: Path) -> WorkerHarness:
    """Services and workers over this test's database; `test_worker` has one on the real engine."""
    return WorkerHarness(database, home=tmp_path, durable=campaign.WHOLE)
