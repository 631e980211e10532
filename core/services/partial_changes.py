"""Keeping a part of a staged change: lists its parts, and begins the revision that has only the chosen ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from core.model.change import show_path
from core.model.errors import ConflictError
from core.model.hunk_selection import HunkSpan, SelectedHunks, parts_of, spans_of
from core.model.part_choice import PartChoice
from core.model.part_selection import PartSelection, numbers_in_words
from core.model.staged_diff import TYPED_DIGITS
from core.model.task import Task
from core.model.turn import NOWHERE, SYSTEM, Actor, MessageOrigin
from core.rules.basis import stale_parts
from core.rules.visibility import visible_task
from core.services.requests import Requests
from core.services.staged_diffs import StagedContent, StagedDiffs
from core.settings import SettingsSource
from core.store import tasks
from core.store.database import Database
from core.store.unit_of_work import Tx, reads


@dataclass(frozen=True, slots=True)
class StagedParts:
    """The parts of the diff `digest` of a task's `revision`, in order of their numbers."""

    number: int
    revision: int
    digest: str
    parts: tuple[SelectedHunks, ...]

    def to_json(self) -> dict[str, Any]:
        """The parts as ``pick --json`` and the API list them; lines count from 1."""
        parts = [
            {
                "n": part.number,
                "id": part.id,
                "file": part.file_id,
                "path": show_path(part.path),
                "lines": _lines(part.span),
                "label": part.label,
            }
            for part in self.parts
        ]
        return {"task": self.number, "revision": self.revision, "digest": self.digest, "parts": parts}

    def selected(self, numbers: Iterable[int]) -> PartSelection:
        """The parts with these numbers."""
        chosen = frozenset(numbers)
        ids = tuple(sorted(part.id for part in self.parts if part.number in chosen))
        return PartSelection(self.digest, ids, len(self.parts), numbers_in_words(chosen))


@dataclass(frozen=True, slots=True)
class PartialChanges:
    """Lists the parts of staged diffs, and begins revisions that keep some of them.

    What the parts are is read from the trees and blobs that the digest names; a choice is only ids among them.
    """

    database: Database
    settings: SettingsSource
    requests: Requests
    diffs: StagedDiffs

    async def parts_of(self, number: int, actor: Actor = SYSTEM) -> StagedParts:
        """The parts of a task's staged diff; raises `ConflictError` if there is none that can be approved."""
        task = await self._task(number, actor)
        content = await self.diffs.content(task)
        if content is None or task.staged is None:
            raise ConflictError("nothing_staged", f"#{number} has nothing staged to pick from", "Look at its card.")
        return StagedParts(number, task.revision, task.staged.digest, parts_in(content))

    async def pick(
        self,
        number: int,
        choice: PartChoice,
        actor: Actor,
        digest: str | None = None,
        dedup: str | None = None,
        origin: MessageOrigin = NOWHERE,
    ) -> Task:
        """Begin the revision that has only the parts that `choice` keeps; `digest` is the diff that it is about.

        A choice that was accepted under the same `dedup` counts once. Raises `ConflictError` if that diff is not
        current, `UsageError` or `NotFoundError` for a choice that keeps nothing or names something else, and
        `RefusedError` for a person who may neither reply nor approve; then nothing happens to the task.
        """
        if dedup is not None and (known := await self._picked_already(number, actor, dedup)) is not None:
            return known
        await self.requests.check_speaking(number, actor, picks=True)
        staged = await self.parts_of(number, actor)
        if digest is not None and (len(digest) < TYPED_DIGITS or not staged.digest.startswith(digest.lower())):
            raise stale_parts(number)
        return await self.requests.pick(number, staged.selected(choice.numbers(staged.parts)), actor, dedup, origin)

    @reads
    async def _picked_already(self, tx: Tx, number: int, actor: Actor, dedup: str) -> Task | None:
        """The task if this message was accepted before: it was delivered, or its form was sent, a second time."""
        is_known = await tasks.task_of_message(tx, actor.surface or "", dedup) == number
        return await visible_task(tx, self.settings(), number, actor) if is_known else None

    @reads
    async def _task(self, tx: Tx, number: int, actor: Actor) -> Task:
        return await visible_task(tx, self.settings(), number, actor)


def _lines(span: HunkSpan | None) -> dict[str, dict[str, int]] | None:
    """The lines of a hunk before and after the change; None for a whole file."""
    if span is None:
        return None
    return {
        "old": {"first": span.old_begin + 1, "count": span.old_end - span.old_begin},
        "new": {"first": span.new_begin + 1, "count": span.new_end - span.new_begin},
    }


def parts_in(content: StagedContent) -> tuple[SelectedHunks, ...]:
    """The parts of a verified diff."""
    return parts_of(content.change.files, spans_of(content.diff))
