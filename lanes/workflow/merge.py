"""What several steps changed, put together path by path. Pure; no text is ever merged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from core.model.change import Change, show_path
from core.model.errors import PermanentError
from core.model.workflow import WorkflowStep


@dataclass(frozen=True, slots=True)
class MergedEntry:
    """What a step left at a path: mode and blob; a `blob` of None is no file."""

    mode: str
    blob: str | None


Changes = Mapping[bytes, MergedEntry]
"""What one step changed of the tree it began with."""


def changes_of(change: Change) -> Changes:
    """The same as entries by path."""
    return {file.path: MergedEntry(file.mode, file.new_blob) for file in change.files}


def before(steps: Iterable[WorkflowStep]) -> dict[str, frozenset[str]]:
    """Every step's name, to all that come before it, through however many others."""
    needs = {step.name: step.needs for step in steps}
    found: dict[str, frozenset[str]] = {}

    def look(name: str) -> frozenset[str]:
        if name not in found:
            mine = [need for need in needs[name] if need in needs]
            found[name] = frozenset(mine).union(*map(look, mine))
        return found[name]

    for name in needs:
        look(name)
    return found


def merged(changes: Mapping[str, Changes], earlier: Mapping[str, frozenset[str]]) -> dict[bytes, MergedEntry]:
    """The entries that all steps of `changes` together leave; a later step's word counts over an earlier one's.

    `earlier` names for each step those before it. Raises `PermanentError` where two steps, neither before the other,
    left different things at one path.
    """
    found: dict[bytes, MergedEntry] = {}
    for path in sorted({path for entries in changes.values() for path in entries}):
        writers = [name for name, entries in changes.items() if path in entries]
        last = [name for name in writers if not any(name in earlier[other] for other in writers)]
        for other in last[1:]:
            if changes[other][path] != changes[last[0]][path]:
                raise PermanentError(
                    "steps_disagree",
                    f"the steps {last[0]} and {other} both changed {show_path(path)}, each in its own way",
                    f"Let one of them need the other: needs: [{last[0]}].",
                )
        found[path] = changes[last[0]][path]
    return found
