"""Merges the changes of several steps path by path; pure, and never merges text within a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from core.model.change import Change, show_path
from core.model.errors import PermanentError
from core.model.workflow import WorkflowStep


@dataclass(frozen=True, slots=True)
class PathState:
    """The state of a path after a step: mode and blob; a `blob` of None means that the file is deleted."""

    mode: str
    blob: str | None


Changes = Mapping[bytes, PathState]
"""The changes of one step to its start tree."""


def changes_of(change: Change) -> Changes:
    """A change as a mapping from path to state."""
    return {file.path: PathState(file.mode, file.new_blob) for file in change.files}


def predecessors(steps: Iterable[WorkflowStep]) -> dict[str, frozenset[str]]:
    """Every step's name with the names of all steps that precede it, directly or indirectly."""
    needs = {step.name: step.needs for step in steps}
    result: dict[str, frozenset[str]] = {}

    def visit(name: str) -> frozenset[str]:
        if name not in result:
            direct = [need for need in needs[name] if need in needs]
            result[name] = frozenset(direct).union(*map(visit, direct))
        return result[name]

    for name in needs:
        visit(name)
    return result


def merge_changes(changes: Mapping[str, Changes], earlier: Mapping[str, frozenset[str]]) -> dict[bytes, PathState]:
    """The combined changes of all steps; where several change a path, the later step wins.

    Args:
        changes: The changes of each step.
        earlier: For each step, those that precede it.

    Raises:
        PermanentError: Two steps without an order between them changed one path differently.
    """
    combined: dict[bytes, PathState] = {}
    for path in sorted({path for entries in changes.values() for path in entries}):
        writers = [name for name, entries in changes.items() if path in entries]
        last = [name for name in writers if not any(name in earlier[other] for other in writers)]
        for other in last[1:]:
            if changes[other][path] != changes[last[0]][path]:
                raise PermanentError(
                    "steps_disagree",
                    f"The steps {last[0]} and {other} changed {show_path(path)} in different ways",
                    f"Make one depend on the other, as in: needs: [{last[0]}].",
                )
        combined[path] = changes[last[0]][path]
    return combined
