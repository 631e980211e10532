"""Builds the tree that has only selected parts of a staged change, from the exact bytes of both sides."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from core.model.change import ABSENT, GITLINK, Change, FileChange
from core.model.errors import Kind, NotFoundError, PermanentError, UsageError
from core.model.hunk_selection import HunkSpan, SelectedHunks, Spans, parts_of, spans_of, subset
from core.model.part_choice import read_selection
from core.model.part_selection import PartSelection
from core.model.staged_diff import digest_of
from core.ports.executor import WorkOrder
from core.ports.repository import Repository
from lanes.repository import as_git


@dataclass(frozen=True, slots=True)
class SelectableChange:
    """A staged change and its selectable parts."""

    change: Change
    spans: Spans
    parts: tuple[SelectedHunks, ...]


async def read_selectable(repository: Repository, base: str, tree: str) -> SelectableChange:
    """The parts of the change from the commit `base` to `tree`, numbered as in the displayed diff."""
    change = await repository.change(base, tree)
    spans = spans_of(await repository.diff_text(base, tree))
    return SelectableChange(change, spans, parts_of(change.files, spans))


async def kept_tree(order: WorkOrder, repository: Repository) -> str:
    """The tree with the parts that an order keeps of the change that it starts from; raises `PermanentError`."""
    selection, words = order.intent.selection, order.intent.pick
    if selection is not None:
        return await selected_tree(repository, order.base, order.start, selection)
    assert words is not None
    return await picked_tree(repository, order.base, order.start, words)


async def selected_tree(repository: Repository, base: str, tree: str, selection: PartSelection) -> str:
    """The tree of `base` with the parts `selection` of the change to `tree`.

    Raises `PermanentError` if git has another change there than the one that was chosen from, or other parts in it.
    """
    selectable = await read_selectable(repository, base, tree)
    change = selectable.change
    by_id = {part.id: part.number for part in selectable.parts}
    is_same = digest_of(change.repository, change.base, change.files) == selection.digest
    if not is_same or not selection.ids or not by_id.keys() >= set(selection.ids):
        mend = "Choose again among the parts that it has now."
        raise PermanentError("other_parts", "the parts that were chosen are not those of the staged change", mend)
    return await subset_tree(repository, selectable, {by_id[each] for each in selection.ids})


async def picked_tree(repository: Repository, base: str, tree: str, selection: str) -> str:
    """The tree of `base` with the parts that words name of the change to `tree`; the result is deterministic.

    Raises:
        PermanentError: The selection names nothing, or cannot be made: part of a submodule, or a file whose folder is
            still a file.
    """
    selectable = await read_selectable(repository, base, tree)
    try:
        numbers = read_selection(selection, selectable.parts)
    except (UsageError, NotFoundError) as error:
        problem = error.problem
        raise PermanentError(problem.code, problem.message, problem.mend, kind=problem.kind) from error
    return await subset_tree(repository, selectable, numbers)


async def subset_tree(repository: Repository, selectable: SelectableChange, numbers: Collection[int]) -> str:
    """The tree with these parts: all of them give the staged tree, none the base's."""
    chosen = {part.number for part in selectable.parts if part.number in numbers}
    start = await repository.tree_of(selectable.change.base)
    if not chosen:
        return start
    if len(chosen) == len(selectable.parts):
        return selectable.change.tree
    writes: dict[str, bytes] = {}
    modes: dict[str, str] = {}
    deletes: set[str] = set()
    for file in selectable.change.files:
        picked = [part for part in selectable.parts if part.path == file.path and part.number in chosen]
        if not picked:
            continue
        path = file.path.decode("utf-8", "surrogateescape")
        if GITLINK in (file.old_mode, file.mode):
            mend = "Pick the whole change, or none of it."
            raise PermanentError("submodule", f"{file.shown_path} is a submodule", mend, kind=Kind.BLOCKED)
        if file.mode == ABSENT:
            deletes.add(path)
            continue
        writes[path] = await _content(repository, file, selectable.spans, [part.span for part in picked])
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
