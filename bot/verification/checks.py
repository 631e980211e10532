"""The checks of a verification: each has a name, a verdict, a sentence and what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.model.errors import CountersignError

VerifyCheck = dict[str, Any]


async def attempt(checks: list[VerifyCheck], name: str, work: Callable[[], Any]) -> Any:
    """The result of `work`; an error becomes a failed check and None."""
    try:
        return await work()
    except CountersignError as error:
        checks.append(faulty(name, error))
        return None


def passed(name: str, detail: str) -> VerifyCheck:
    """A check that holds."""
    return {"name": name, "verdict": "ok", "detail": detail, "mend": ""}


def warned(name: str, detail: str, mend: str) -> VerifyCheck:
    """A check that says nothing, and why."""
    return {"name": name, "verdict": "warn", "detail": detail, "mend": mend}


def failed(name: str, detail: str, mend: str) -> VerifyCheck:
    """A check that does not hold."""
    return {"name": name, "verdict": "fail", "detail": detail, "mend": mend}


def faulty(name: str, error: CountersignError) -> VerifyCheck:
    """A check that failed with an error."""
    return failed(name, error.problem.message, str(error.problem.mend))
