"""The statement that an approver's passkey signs: exactly which bytes a person approved, for which home, and when."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from core.model.event import canonical
from core.model.stored import StoredObject, StoredValueError

STATEMENT_TYPE: Final = "urn:countersign:approval:v1"


@dataclass(frozen=True, slots=True)
class ApprovalStatement:
    """One person's verdict on one digest.

    `home` is the id of the key with which the home signs receipts, `at` an RFC 3339 time, `nonce` random.
    """

    task: int
    task_id: str
    digest: str
    base: str
    verdict: str
    person: str
    home: str
    at: str
    nonce: str

    def to_json(self) -> dict[str, Any]:
        """The statement with its type."""
        return {"_type": STATEMENT_TYPE, **asdict(self)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ApprovalStatement:
        """The statement that `to_json` wrote; raises `StoredValueError` for any other object."""
        stored = StoredObject(value, "an approval statement")
        names = tuple(cls.__dataclass_fields__)
        if set(value) != {"_type", *names} or value["_type"] != STATEMENT_TYPE:
            raise StoredValueError(f"an approval statement has exactly the keys _type, {', '.join(names)}")
        return cls(**{name: stored[name] for name in names})

    @property
    def challenge(self) -> bytes:
        """What the passkey signs: the sha256 of the canonical JSON."""
        return hashlib.sha256(canonical(self.to_json()).encode()).digest()
