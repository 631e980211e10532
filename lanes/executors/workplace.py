"""Where programs of a lane work: a folder that shows the files of a tree, and what is taken back of it afterwards.

Where the sandbox can lay a layer over files that nobody writes to, beginning and ending cost what is changed; elsewhere
each piece of work gets a copy of all files.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lanes.executors.checkouts import Checkouts
from lanes.repository import Bounds, GitRepository
from lanes.repository.worktree import room_above
from lanes.sandbox import Sandbox

_KEPT: Final = "pristine"


@dataclass(frozen=True, slots=True)
class Place:
    """A place to work that showed `tree` at first: `directory` and `beneath` are what a `Run` wants."""

    git: GitRepository
    tree: str
    directory: Path
    beneath: Path | None
    bounds: Bounds

    async def take(self) -> str:
        """The tree that the work left; nothing may run there any more. To be asked for once."""
        if self.beneath is None:
            return await self.git.import_tree(self.directory, self.tree, self.bounds)
        return await self.git.take_layer(self.directory, self.tree, self.bounds)


class Workplaces:
    """Makes places to work below `scratch`."""

    def __init__(self, scratch: Path) -> None:
        self._checkouts = Checkouts(scratch)
        self._kept = scratch / _KEPT

    @contextlib.asynccontextmanager
    async def showing(self, git: GitRepository, tree: str, sandbox: Sandbox) -> AsyncIterator[Place]:
        """A place that shows `tree` to programs in `sandbox`; gone after the block."""
        layers = sandbox.overlay
        await asyncio.to_thread(self._checkouts.sweep)
        async with _closing_aside() as stack:
            folder = stack.enter_context(self._checkouts.folder())
            if layers is not None:
                beneath = await git.lease(stack, tree, self._kept, layers.owner)
                if beneath is not None:
                    yield Place(git, tree, folder, beneath, Bounds())
                    return
            await git.export(tree, folder)
            yield Place(git, tree, folder, None, await asyncio.to_thread(room_above, folder))


@contextlib.asynccontextmanager
async def _closing_aside() -> AsyncIterator[contextlib.ExitStack]:
    """A stack that is closed in a thread: removing what a program left may take long, and others wait meanwhile."""
    stack = contextlib.ExitStack()
    try:
        yield stack
    finally:
        closing = asyncio.ensure_future(asyncio.to_thread(stack.close))
        try:
            await asyncio.shield(closing)
        except asyncio.CancelledError:
            await closing
            raise
