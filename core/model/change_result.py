"""The result of a change job's executor, as it is stored with the job until the job ends (decision 0043)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from core.model.provenance import NO_PROVENANCE, Provenance
from core.model.stored import StoredObject

_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class ChangeResult:
    """The tree that an executor made on the commit `base`, and how.

    `authors` are the people whose words the executor was shown; None where an older version did not store them.
    """

    base: str
    tree: str
    provenance: Provenance = NO_PROVENANCE
    authors: tuple[str, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """The result in its stored form."""
        return {
            "v": _VERSION,
            "base": self.base,
            "tree": self.tree,
            "making": self.provenance.to_json(),
            "authors": None if self.authors is None else list(self.authors),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ChangeResult:
        """The result that `to_json` wrote, now or in a version that stored no version, authors or provenance."""
        stored = StoredObject(value, "the result of a change", newest=_VERSION)
        making, authors = stored.get("making"), stored.get("authors")
        return cls(
            base=stored["base"],
            tree=stored["tree"],
            provenance=Provenance.from_json(making) if making else NO_PROVENANCE,
            authors=None if authors is None else tuple(authors),
        )
