"""Picking: the tree that has only some parts of a staged change, made of the very bytes of its two sides."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from core.model.change import ABSENT, GITLINK, Change, FileChange
from core.model.errors import Kind, NotFoundError, PermanentError, UsageError
from core.model.hunk_selection import HunkSpan, SelectedHunks, Spans, parts_of, read_selection, spans_of, subset
from core.ports.repository import Repository
from lanes.repository import as_git


@dataclass(frozen=True, slots=True)
class Pickable:
    """A staged change with its parts."""

    change: Change
    spans: Spans
    parts: tuple[SelectedHunks, ...]


async def pickable(repository: Repository, base: str, tree: str) -> Pickable:
    """The parts of the change from commit `base` to `tree`, numbered as the diff shows them."""
    change = await repository.change(base, tree)
    spans = spans_of(await repository.diff_text(base, tree))
    return Pickable(change, spans, parts_of(change.files, spans))


async def picked_tree(repository: Repository, base: str, tree: str, what: str) -> str:
    """The tree of `base` with what `what` names of the change to `tree`.

    Raises `PermanentError` for a selection that names nothing, and for one that cannot be made: a submodule alone, or a
    file whose folder still is a file. The same selection of the same change makes the same tree.
    """
    found = await pickable(repository, base, tree)
    try:
        numbers = read_selection(what, found.parts)
    except (UsageError, NotFoundError) as error:
        said = error.problem
        raise PermanentError(said.code, said.message, said.mend, kind=said.kind) from error
    return await subset_tree(repository, found, numbers)


async def subset_tree(repository: Repository, found: Pickable, numbers: Collection[int]) -> str:
    """The tree with the parts of these numbers: all of them are the staged tree, none are the base's."""
    chosen = {part.number for part in found.parts if part.number in numbers}
    start = await repository.tree_of(found.change.base)
    if not chosen:
        return start
    if len(chosen) == len(found.parts):
        return found.change.tree
    writes: dict[str, bytes] = {}
    modes: dict[str, str] = {}
    deletes: set[str] = set()
    for file in found.change.files:
        picked = [part for part in found.parts if part.path == file.path and part.number in chosen]
        if not picked:
            continue
        path = file.path.decode("utf-8", "surrogateescape")
        if GITLINK in (file.old_mode, file.mode):
            mend = "Pick all of the change, or none of it."
            raise PermanentError("submodule", f"{file.shown_path} is a submodule", mend, kind=Kind.BLOCKED)
        if file.mode == ABSENT:
            deletes.add(path)
            continue
        writes[path] = await _content(repository, file, found.spans, [part.span for part in picked])
        modes[path] = file.mode
    return await as_git(repository).write_tree(start, writes, deletes, modes)


async def _content(repository: Repository, file: FileChange, spans: Spans, picked: list[HunkSpan | None]) -> bytes:
    assert file.new_blob is not None
    new = await repository.read_blob(file.new_blob)
    if None in picked:
        return new
    assert file.old_blob is not None
    old = await repository.read_blob(file.old_blob)
    return subset(old, new, spans[file.old_blob, file.new_blob], [span for span in picked if span is not None])
