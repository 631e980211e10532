"""Importing this finds the host's sandbox: what a server of processes has found, all that it forks have."""

from __future__ import annotations

from tests.host import sandbox_here

sandbox_here()
