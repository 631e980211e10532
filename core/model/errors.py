"""Problems as people see them, and the exceptions that carry them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from core.model.advice import Advice
from core.model.stored import StoredObject, StoredValueError


class Kind(StrEnum):
    """The kind of a problem, which determines the exit code (contract.md)."""

    FAILED = "failed"
    USAGE = "usage"
    REFUSED = "refused"
    BLOCKED = "blocked"
    CONFLICT = "conflict"
    MISSING = "missing"
    UNAVAILABLE = "unavailable"

    @property
    def exit_code(self) -> int:
        """The process exit status for this kind."""
        return _EXIT_CODES[self]


_EXIT_CODES = {
    Kind.FAILED: 1,
    Kind.USAGE: 2,
    Kind.REFUSED: 3,
    Kind.BLOCKED: 4,
    Kind.CONFLICT: 5,
    Kind.MISSING: 6,
    Kind.UNAVAILABLE: 7,
}


_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")  # PostgreSQL does not store NUL
_SURROGATE_BYTES: Final = range(0xDC80, 0xDD00)
"""How Python represents a byte that is not UTF-8 (PEP 383)."""


def writable(text: str) -> str:
    r"""`text` that every file, database and terminal can hold; a byte that is not UTF-8 becomes ``\xNN``."""
    return _UNSTORABLE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    point = ord(match[0])
    if point == 0 or point in _SURROGATE_BYTES:
        return f"\\x{point & 0xFF:02x}"
    return f"\\u{point:04x}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that went wrong: a stable code, what happened and where, and how to fix it; always valid UTF-8.

    A `mend` with commands is an `Advice`, which each surface renders; its ``str`` is the command-line wording.
    """

    kind: Kind
    code: str
    message: str
    mend: str | Advice = ""

    def __post_init__(self) -> None:
        for name in ("message", "mend"):
            if isinstance(text := getattr(self, name), str):
                object.__setattr__(self, name, writable(text))

    def sentence(self) -> str:
        """The problem as one line for the command line; `bot.cards.problem_text` renders it for other surfaces."""
        return sentence_of(self.message, str(self.mend))

    def plain(self) -> str:
        """The problem as one line without commands, for text whose surface is not known yet."""
        return sentence_of(self.message, self.mend.otherwise if isinstance(self.mend, Advice) else self.mend)

    def about(self, number: int) -> Problem:
        """The same problem, with the task's number in the suggested commands."""
        return replace(self, mend=self.mend.about(number)) if isinstance(self.mend, Advice) else self

    def to_json(self) -> dict[str, Any]:
        """The ``error`` object of the task document; ``mend`` is the command-line text, ``advice`` its parts."""
        advice = {"advice": self.mend.to_json()} if isinstance(self.mend, Advice) else {}
        return {"code": self.code, "message": self.message, "mend": str(self.mend), "kind": self.kind.value, **advice}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Problem:
        """The problem that `to_json` wrote, now or in a version that had the mend's text alone."""
        stored = StoredObject(value, "a problem")
        return cls(Kind(stored["kind"]), stored["code"], stored["message"], mend_of(value))


def mend_of(value: Mapping[str, Any]) -> str | Advice:
    """The mend in an ``error`` object; older rows have its text alone."""
    return Advice.from_json(value["advice"]) if value.get("advice") else value.get("mend", "")


def sentence_of(message: str, mend: str) -> str:
    """A message and its mend as one line."""
    if not mend:
        return message
    return f"{message}{'' if message.endswith(('.', '?', '!')) else '.'} {mend}"


class CountersignError(Exception):
    """Base class of all errors that carry a problem for people."""

    kind = Kind.FAILED

    def __init__(self, code: str, message: str, mend: str | Advice = "") -> None:
        super().__init__(message)
        self.problem = Problem(self.kind, code, message, mend)

    def __str__(self) -> str:
        return self.problem.sentence()


class UsageError(CountersignError):
    """The input cannot be processed as given."""

    kind = Kind.USAGE


class ConfigError(UsageError):
    """A configuration file is invalid; names the file, the line and the key."""

    def __init__(self, path: Path | str, line: int | None, key: str, message: str, mend: str | Advice = "") -> None:
        where = f"{path}:{line}" if line else f"{path}"
        text = f"{where}: {key}: {message}" if key else f"{where}: {message}"
        super().__init__("config", text, mend)
        self.path, self.line, self.key = str(path), line, key


class RefusedError(CountersignError):
    """Policy does not allow this person to do this."""

    kind = Kind.REFUSED


class ConflictError(CountersignError):
    """The task is not, or no longer, in the required state."""

    kind = Kind.CONFLICT


class NotFoundError(CountersignError):
    """The thing that was named does not exist."""

    kind = Kind.MISSING


class TransientError(CountersignError):
    """Something outside is unavailable now; the same call may succeed later."""

    kind = Kind.UNAVAILABLE

    def __init__(self, code: str, message: str, mend: str | Advice = "", *, retry_after_s: float | None = None) -> None:
        super().__init__(code, message, mend)
        self.retry_after_s = retry_after_s


def reply_pending(number: int) -> TransientError:
    """The error for an action that must wait until a reply to the task has been read."""
    message = f"a reply to #{number} is being read"
    return TransientError("being_read", message, "Try again in a moment.", retry_after_s=2.0)


class PermanentError(CountersignError):
    """Trying again cannot help."""

    kind = Kind.FAILED

    def __init__(self, code: str, message: str, mend: str | Advice = "", *, kind: Kind = Kind.FAILED) -> None:
        super().__init__(code, message, mend)
        self.problem = Problem(kind, code, message, mend)


def unreadable_value(error: StoredValueError) -> PermanentError:
    """The error of a stored value that this program cannot read, most often because a newer one wrote it."""
    mend = "Install the newer Countersign, or restore a backup made by this one."
    return PermanentError("unreadable_row", str(error), mend, kind=Kind.UNAVAILABLE)


class WorkError(PermanentError):
    """An executor failed; `artifacts` are files that explain why, kept with the task."""

    def __init__(self, code: str, message: str, mend: str | Advice = "", *, artifacts: Mapping[str, bytes]) -> None:
        super().__init__(code, message, mend)
        self.artifacts = artifacts


class LostClaimError(CountersignError):
    """Another worker has a newer fence for this job; the caller must not write anything more."""

    kind = Kind.CONFLICT
