"""Which parts of a staged diff a person kept: ids that fit that diff alone, and what is remembered of the choice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from core.model.event import canonical_sha256
from core.model.stored import StoredObject


@dataclass(frozen=True, slots=True)
class PartSelection:
    """The parts to keep of the staged diff `digest`: their `ids`, and how many parts that diff has in `total`.

    `words` are the same parts by their numbers, for people.
    """

    digest: str
    ids: tuple[str, ...]
    total: int
    words: str

    def to_json(self) -> dict[str, Any]:
        """The selection as stored with the intent of its revision."""
        return {"digest": self.digest, "ids": list(self.ids), "total": self.total, "words": self.words}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> PartSelection:
        """The selection that `to_json` wrote."""
        stored = StoredObject(value, "a selection of parts")
        return cls(stored["digest"], tuple(stored["ids"]), stored["total"], stored["words"])


@dataclass(frozen=True, slots=True)
class PickedPart:
    """The remembered choice: `person` kept `kept` of `total` parts of the diff `digest` of `revision`.

    `ids_sha256` is the hash of the ids of the parts that were kept.
    """

    revision: int
    digest: str
    person: str
    kept: int
    total: int
    ids_sha256: str

    @classmethod
    def of(cls, selection: PartSelection, revision: int, person: str) -> PickedPart:
        """The choice `selection` by `person` from `revision`."""
        hashed = canonical_sha256(sorted(selection.ids))
        return cls(revision, selection.digest, person, len(selection.ids), selection.total, hashed)

    @property
    def words(self) -> str:
        """The choice in words, as cards and pull requests have it."""
        return picked_words(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """The choice as events, receipts and the task document have it."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> PickedPart:
        """The choice that `to_json` wrote."""
        stored = StoredObject(value, "a choice of parts")
        return cls(
            revision=stored["revision"],
            digest=stored["digest"],
            person=stored["person"],
            kept=stored["kept"],
            total=stored["total"],
            ids_sha256=stored["ids_sha256"],
        )


def picked_words(part: Mapping[str, Any]) -> str:
    """A choice as `PickedPart.to_json` has it, in words."""
    return f"{part['kept']} of {part['total']} parts of revision {part['revision']}, chosen by {part['person']}"


def numbers_in_words(numbers: Iterable[int]) -> str:
    """Numbers in ascending order with runs joined, such as ``1,3-5``."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
