"""The rows of `doctor`: the verdict of one check, its detail, and how to fix it."""

from __future__ import annotations

from typing import Any

from core.model.errors import Problem

DoctorRow = dict[str, Any]
"""``name``, ``verdict`` (``ok``, ``warn`` or ``fail``), ``detail`` and ``mend``, as ``doctor --json`` prints it."""


def ok_row(name: str, detail: str) -> DoctorRow:
    """A check that passed."""
    return row(name, "ok", detail)


def warning_row(name: str, detail: str, mend: str) -> DoctorRow:
    """A check that passed with a warning."""
    return row(name, "warn", detail, mend)


def failed_row(name: str, problem: Problem) -> DoctorRow:
    """A check that failed with `problem`."""
    return row(name, "fail", problem.message, str(problem.mend))


def row(name: str, verdict: str, detail: str, mend: str = "") -> DoctorRow:
    """The row of a check."""
    return {"name": name, "verdict": verdict, "detail": detail, "mend": mend}
