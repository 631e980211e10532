"""The intent of a text: what it seems to ask for. It is untrusted, whatever read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.model.edit_description import describe
from core.model.edits import BumpPackage, Edit, ReplaceText, from_json, paths_named, to_json
from core.model.masking import Mask, no_mask
from core.model.part_selection import PartSelection
from core.model.shorten import shortened
from core.model.stored import StoredObject, StoredValueError


@dataclass(frozen=True, slots=True)
class Intent:
    """The edits that a text asks for, or none if only an executor can tell (a command, an agent).

    `revert_of` is the commit to revert instead, `selection` the parts of the previous revision to keep; `pick` are such
    parts in the words of an older version (see `core.model.part_choice`). `lane` is the lane that a model suggests
    among those that policy offers; `read_by` names that model.
    """

    text: str
    edits: tuple[Edit, ...] = ()
    revert_of: str | None = None
    pick: str | None = None
    lane: str | None = None
    read_by: str = ""
    selection: PartSelection | None = None

    @property
    def keeps_parts(self) -> bool:
        """True if it keeps some parts of what is staged, and makes nothing new."""
        return self.selection is not None or self.pick is not None

    @property
    def needs_git_alone(self) -> bool:
        """True for work on existing trees only: no model and no executor of the lane."""
        return self.revert_of is not None or self.keeps_parts

    @property
    def is_located(self) -> bool:
        """False while a package's file must still be found in the repository."""
        return not any(isinstance(edit, BumpPackage) and edit.path is None for edit in self.edits)

    @property
    def title(self) -> str:
        """One line for cards and commit subjects; at most 72 characters."""
        return self.titled(no_mask)

    def titled(self, mask: Mask) -> str:
        """The title after `mask`, which is applied before cutting so that no secret is cut in half."""
        text = "; ".join(describe(edit) for edit in self.edits) if self.edits else self.text
        return shortened(" ".join(mask(text).split()), 72)

    def paths(self) -> tuple[str, ...]:
        """The paths and globs that the edits name, in order, without duplicates.

        A glob counts as a path: a lane that covers the name ``docs/*.md`` covers what it matches, and the guard judges
        the files that it did match.
        """
        return tuple(dict.fromkeys(target for edit in self.edits for target in _targets(edit)))

    def to_json(self) -> dict[str, Any]:
        """The intent as stored with its revision."""
        return {
            "text": self.text,
            "edits": [to_json(e) for e in self.edits],
            "revert_of": self.revert_of,
            "pick": self.pick,
            "selection": self.selection.to_json() if self.selection else None,
            "lane": self.lane,
            "read_by": self.read_by,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Intent:
        """The intent that `to_json` wrote; raises `StoredValueError`, also for an edit that is not known."""
        stored = StoredObject(value, "an intent")
        try:
            edits = tuple(from_json(edit) for edit in stored["edits"])
        except ValueError as error:
            raise StoredValueError(f"an intent in the database cannot be read: {error}") from error
        return cls(
            text=stored["text"],
            edits=edits,
            revert_of=stored.get("revert_of"),
            pick=stored.get("pick"),
            selection=PartSelection.from_json(stored["selection"]) if stored.get("selection") else None,
            lane=stored.get("lane"),
            read_by=stored.get("read_by", ""),
        )


def _targets(edit: Edit) -> tuple[str, ...]:
    return (edit.target,) if isinstance(edit, ReplaceText) else paths_named(edit)


@dataclass(frozen=True, slots=True)
class Unclear:
    """A text that could not be read as a request: the reason and what would be understood, or a question.

    `read_by` names the model that wrote them; empty if no model was asked. `idle` is true if the text asks for no
    change at all.
    """

    reason: str
    can: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    read_by: str = ""
    idle: bool = False


@dataclass(frozen=True, slots=True)
class Idle:
    """Words that ask for no change, such as thanks or praise; `consents` if they sound like an approval."""

    consents: bool = False
