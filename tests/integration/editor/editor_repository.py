"""A repository for each test of the editor: files in, a request, and the resulting files or the refusal."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from bot.interpret.grammar_interpreter import GrammarInterpreter
from core.model.edits import Edit
from core.model.errors import PermanentError
from core.model.intent import Intent, Unclear
from core.model.turn import Turn
from core.ports.executor import WorkOrder
from core.ports.interpretation import InterpretationContext
from lanes.executors.edit import EditExecutor
from lanes.repository import GitRepository
from tests.builders import lane
from tests.integration.lanes import origin

Files = Mapping[str, bytes]


class Refused(Exception):  # noqa: N818 - an outcome that tests ask for
    """The editor said no, with this sentence."""


class EditorRepository:
    """One repository that any number of requests work on, each from its own files."""

    def __init__(self, folder: Path) -> None:
        self.repository: GitRepository = origin.store(
            origin.remote(folder / "origin.git", {"a": "a"}), folder / "state"
        )
        self.base = asyncio.run(self.repository.fetch_base())

    def ask(self, request: str, files: Files) -> dict[str, bytes]:
        """All files after the request was read by the grammar and done by the executor; raises `Refused`."""
        return asyncio.run(self._ask(request, files))

    async def _ask(self, request: str, files: Files) -> dict[str, bytes]:
        edits = await read(request)
        listed = {_raw(path): ("100644", content) for path, content in files.items()}
        start = origin.plant(self.repository.store.path, listed)
        order = WorkOrder(1, 1, lane(), Intent(request, edits), (), self.base, start)
        try:
            made = await EditExecutor().produce(order, self.repository)
        except PermanentError as error:
            raise Refused(error.problem.sentence()) from error
        paths = await self.repository.list_paths(made.tree)
        return {
            path.decode("utf-8", "surrogateescape"): await self.repository.read_blob(oid)
            for path, (_, oid) in paths.items()
        }


async def read(request: str) -> tuple[Edit, ...]:
    """The edits that the grammar reads in a request; raises `Refused`."""
    turn = Turn(1, "ana", "terminal", request, datetime(2026, 1, 1, tzinfo=UTC), 1)
    meant = await GrammarInterpreter().interpret((turn,), InterpretationContext())
    if isinstance(meant, Unclear):
        raise Refused(meant.reason)
    return meant.edits


def _raw(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")
