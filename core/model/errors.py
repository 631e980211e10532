"""Problems people are told about, and the exceptions that carry them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from core.model.advice import Advice


class Kind(StrEnum):
    """What sort of problem it is; decides the exit code of contract.md."""

    FAILED = "failed"
    USAGE = "usage"
    REFUSED = "refused"
    BLOCKED = "blocked"
    CONFLICT = "conflict"
    MISSING = "missing"
    UNAVAILABLE = "unavailable"

    @property
    def exit_code(self) -> int:
        """The process exit status that stands for this kind."""
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


_LONE: Final = re.compile("[\x00\ud800-\udfff]")  # PostgreSQL takes no NUL
_A_BYTE: Final = range(0xDC80, 0xDD00)
"""How a byte that is not UTF-8 stands in a Python string (PEP 383)."""


def writable(text: str) -> str:
    r"""`text` so that every file, database and terminal can hold it: a byte that was not UTF-8 becomes ``\xNN``."""
    return _LONE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    point = ord(match[0])
    if point == 0 or point in _A_BYTE:
        return f"\\x{point & 0xFF:02x}"
    return f"\\u{point:04x}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that went wrong: a stable code, what happened and where, and the mend; always writable as UTF-8.

    A mend that names commands is an `Advice`, which each surface words for itself; its ``str`` is the command line's.
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
        """The problem as one line for a person at the command line; `bot.cards.wording` has the other surfaces'."""
        return sentence_of(self.message, str(self.mend))

    def plain(self) -> str:
        """The problem as one line without commands, for words of which nobody knows yet where they are read."""
        return sentence_of(self.message, self.mend.otherwise if isinstance(self.mend, Advice) else self.mend)

    def about(self, number: int) -> Problem:
        """The same, with the task's number in the commands that its mend suggests."""
        return replace(self, mend=self.mend.about(number)) if isinstance(self.mend, Advice) else self

    def to_json(self) -> dict[str, Any]:
        """The ``error`` object of the task document: ``mend`` is the command line's, ``advice`` its parts if any."""
        advice = {"advice": self.mend.to_json()} if isinstance(self.mend, Advice) else {}
        return {"code": self.code, "message": self.message, "mend": str(self.mend), "kind": self.kind.value, **advice}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Problem:
        """The problem that `to_json` wrote, now or in a version that had the mend's text alone."""
        return cls(Kind(value["kind"]), value["code"], value["message"], mend_of(value))


def mend_of(value: Mapping[str, Any]) -> str | Advice:
    """The mend in an ``error`` object; rows of before advice was a value have its text alone."""
    return Advice.from_json(value["advice"]) if value.get("advice") else value.get("mend", "")


def sentence_of(message: str, mend: str) -> str:
    """A message and its mend as one line."""
    if not mend:
        return message
    return f"{message}{'' if message.endswith(('.', '?', '!')) else '.'} {mend}"


class CountersignError(Exception):
    """A fault with a problem a person can act on."""

    kind = Kind.FAILED

    def __init__(self, code: str, message: str, mend: str | Advice = "") -> None:
        super().__init__(message)
        self.problem = Problem(self.kind, code, message, mend)

    def __str__(self) -> str:
        return self.problem.sentence()


class UsageError(CountersignError):
    """What was typed cannot be done as typed."""

    kind = Kind.USAGE


class ConfigError(UsageError):
    """A configuration file says something it must not; names the file, the line and the key."""

    def __init__(self, path: Path | str, line: int | None, key: str, message: str, mend: str | Advice = "") -> None:
        where = f"{path}:{line}" if line else f"{path}"
        what = f"{where}: {key}: {message}" if key else f"{where}: {message}"
        super().__init__("config", what, mend)
        self.path, self.line, self.key = str(path), line, key


class RefusedError(CountersignError):
    """Policy does not let this person do this."""

    kind = Kind.REFUSED


class ConflictError(CountersignError):
    """The task is not, or no longer, in the state that this needs."""

    kind = Kind.CONFLICT


class NotFoundError(CountersignError):
    """There is no such thing."""

    kind = Kind.MISSING


class TransientError(CountersignError):
    """Something outside is not there at the moment; the same call may work later."""

    kind = Kind.UNAVAILABLE

    def __init__(self, code: str, message: str, mend: str | Advice = "", *, retry_after_s: float | None = None) -> None:
        super().__init__(code, message, mend)
        self.retry_after_s = retry_after_s


def being_read(number: int) -> TransientError:
    """That words to a task are being read, which may begin its next revision."""
    what = f"somebody's reply to #{number} is being read"
    return TransientError("being_read", what, "Try again in a moment.", retry_after_s=2.0)


class PermanentError(CountersignError):
    """Trying the same again cannot help."""

    kind = Kind.FAILED

    def __init__(self, code: str, message: str, mend: str | Advice = "", *, kind: Kind = Kind.FAILED) -> None:
        super().__init__(code, message, mend)
        self.problem = Problem(kind, code, message, mend)


class WorkError(PermanentError):
    """An executor could not do its work; `artifacts` are the files that tell why, kept with the task."""

    def __init__(self, code: str, message: str, mend: str | Advice = "", *, artifacts: Mapping[str, bytes]) -> None:
        super().__init__(code, message, mend)
        self.artifacts = artifacts


class LostClaimError(CountersignError):
    """Another worker holds a newer fence for this job; whoever meets this writes nothing more."""

    kind = Kind.CONFLICT
