"""The main program of benches that measure a home with a number of tasks: options, a folder, the file of figures."""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

Measure = Callable[[int, Path], Awaitable[dict[str, Any]]]
"""The figures of a home with so many tasks in an empty folder; `failed` are the goals that were missed."""


def run(measure: Measure, out: Path, *, tasks: int, doc: str | None) -> int:
    """Measure with as many tasks as the command line says (else `tasks`), print and write; 1 if a goal was missed."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--tasks", type=int, default=tasks)
    given = parser.parse_args()

    async def measured(folder: Path) -> dict[str, Any]:
        return await measure(given.tasks, folder)

    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder:
        figures = asyncio.run(measured(Path(folder)))
    for name, value in figures.items():
        print(f"{name:34} {value}")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 1 if figures["failed"] else 0
