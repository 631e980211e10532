"""Problems people are told about, and the exceptions that carry them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


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


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that went wrong: a stable code, what happened and where, and the mend."""

    kind: Kind
    code: str
    message: str
    mend: str = ""

    def sentence(self) -> str:
        """The problem as one line for a person."""
        if not self.mend:
            return self.message
        return f"{self.message}{'' if self.message.endswith(('.', '?', '!')) else '.'} {self.mend}"

    def to_json(self) -> dict[str, str]:
        """The ``error`` object of the task document."""
        return {"code": self.code, "message": self.message, "mend": self.mend, "kind": self.kind.value}

    @classmethod
    def from_json(cls, value: dict[str, str]) -> Problem:
        """The problem that `to_json` wrote."""
        return cls(Kind(value["kind"]), value["code"], value["message"], value.get("mend", ""))


class CountersignError(Exception):
    """A fault with a problem a person can act on."""

    kind = Kind.FAILED

    def __init__(self, code: str, message: str, mend: str = "") -> None:
        super().__init__(message)
        self.problem = Problem(self.kind, code, message, mend)

    def __str__(self) -> str:
        return self.problem.sentence()


class UsageError(CountersignError):
    """What was typed cannot be done as typed."""

    kind = Kind.USAGE


class ConfigError(UsageError):
    """A configuration file says something it must not; names the file, the line and the key."""

    def __init__(self, path: Path | str, line: int | None, key: str, message: str, mend: str = "") -> None:
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

    def __init__(self, code: str, message: str, mend: str = "", *, retry_after_s: float | None = None) -> None:
        super().__init__(code, message, mend)
        self.retry_after_s = retry_after_s


def being_read(number: int) -> TransientError:
    """That words to a task are being read, which may begin its next revision."""
    what = f"somebody's reply to #{number} is being read"
    return TransientError("being_read", what, "Try again in a moment.", retry_after_s=2.0)


class PermanentError(CountersignError):
    """Trying the same again cannot help."""

    kind = Kind.FAILED

    def __init__(self, code: str, message: str, mend: str = "", *, kind: Kind = Kind.FAILED) -> None:
        super().__init__(code, message, mend)
        self.problem = Problem(kind, code, message, mend)


class WorkError(PermanentError):
    """An executor could not do its work; `artifacts` are the files that tell why, kept with the task."""

    def __init__(self, code: str, message: str, mend: str = "", *, artifacts: Mapping[str, bytes]) -> None:
        super().__init__(code, message, mend)
        self.artifacts = artifacts


class LostClaimError(CountersignError):
    """Another worker holds a newer fence for this job; whoever meets this writes nothing more."""

    kind = Kind.CONFLICT
