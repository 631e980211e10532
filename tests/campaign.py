"""What `make test` takes a share of, and `make campaigns` the whole: products of cases that take long.

`make test` still meets every attack, every point, every command; a campaign meets each of them in every way.
"""

from __future__ import annotations

import os
from typing import Final

import pytest

WHOLE: Final = os.environ.get("COUNTERSIGN_CAMPAIGNS") == "all"
"""Whether the long campaigns run whole."""

_SQLITE, _POSTGRES = "sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)
ONE_HOST: Final = [_SQLITE, _POSTGRES] if WHOLE else [_SQLITE]
"""The databases of what a worker does that is started again where another one fell."""
SEVERAL_HOSTS: Final = [_SQLITE, _POSTGRES] if WHOLE else [_POSTGRES]
"""The databases of what two workers do at once."""
