"""Working folders for a lane's programs: a folder that shows the files of a tree, and the import of the result.

If the sandbox supports overlays, the cost of starting and ending is proportional to the change; otherwise each run gets
a copy of all files.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lanes.repository import Bounds, GitRepository
from lanes.repository.worktree import bounds_above
from lanes.sandbox import Sandbox
from lanes.sandbox.folders import locked_folder, remove_abandoned

_PRISTINE: Final = "pristine"
_PREFIX: Final = "work-"


@dataclass(frozen=True, slots=True)
class Workplace:
    """A working folder that initially shows `tree`; pass `directory` and `lower` to the `SandboxRun`."""

    git: GitRepository
    tree: str
    directory: Path
    lower: Path | None
    bounds: Bounds

    async def import_result(self) -> str:
        """Import the result as a tree; call it once, when nothing runs in the folder any more."""
        if self.lower is None:
            return await self.git.import_tree(self.directory, self.tree, self.bounds)
        return await self.git.take_layer(self.directory, self.tree, self.bounds)


class WorkFolders:
    """Creates empty working folders below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def remove_abandoned(self) -> None:
        """Remove the folders of dead processes, which may take long."""
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        remove_abandoned(self._root, _PREFIX)

    @contextlib.contextmanager
    def create(self) -> Iterator[Path]:
        """An empty locked folder, removed with its contents after the block."""
        self.remove_abandoned()
        with locked_folder(self._root, _PREFIX) as folder:
            (folder / "files").mkdir()
            yield folder / "files"


class Workplaces:
    """Creates working folders below `scratch`."""

    def __init__(self, scratch: Path) -> None:
        self._work_folders = WorkFolders(scratch)
        self._pristine = scratch / _PRISTINE

    @contextlib.asynccontextmanager
    async def open(self, git: GitRepository, tree: str, sandbox: Sandbox) -> AsyncIterator[Workplace]:
        """A working folder that shows `tree` to programs in `sandbox`; removed after the block."""
        overlay = sandbox.overlay
        await asyncio.to_thread(self._work_folders.remove_abandoned)
        async with _closing_in_thread() as stack:
            folder = stack.enter_context(self._work_folders.create())
            if overlay is not None:
                lower = await git.lease(stack, tree, self._pristine, overlay.owner)
                if lower is not None:
                    yield Workplace(git, tree, folder, lower, Bounds())
                    return
            await git.export(tree, folder)
            yield Workplace(git, tree, folder, None, await asyncio.to_thread(bounds_above, folder))


@contextlib.asynccontextmanager
async def _closing_in_thread() -> AsyncIterator[contextlib.ExitStack]:
    """A stack that is closed in a thread, because removing a program's files can take long."""
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
