"""What a look costs: `show`, `list`, `--help` and an edit's `ask --wait`, beside importing SQLModel alone.

All commands run in turn, each in a process of its own; the figure is the least processor time of each, as a ratio to
that of ``python -c "import sqlmodel"``, which every command that reads the database must pay.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.homes import SCRIPT, clean_environment, make_home

OUT: Final = Path("build/bench/start.json")
LIMITS: Final = {"show_ratio": 2.0, "list_ratio": 2.0, "help_ratio": 0.6}
ASK: Final = "set server.timeout to {} in config/app.yaml"


def main(argv: list[str]) -> int:
    """Measure, print the table, write the file; 1 when a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.start", description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder:
        figures: dict[str, object] = {**measure(Path(folder), options.runs)}
    figures["failed"] = missed(figures)
    for name, value in figures.items():
        print(f"{name:>16}  {value}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(figures, indent=2) + "\n")
    return 1 if figures["failed"] else 0


def missed(figures: dict[str, object]) -> list[str]:
    """The goals that these figures do not meet."""
    return [
        f"{name} is {figures[name]}, over {limit}"
        for name, limit in LIMITS.items()
        if float(str(figures[name])) > limit
    ]


def measure(folder: Path, runs: int) -> dict[str, float]:
    """The ratios, and the seconds of the peer."""
    home = make_home(folder)
    home.staged()
    ours = {
        "show": [str(SCRIPT), *home.argv("show", 1)],
        "list": [str(SCRIPT), *home.argv("list")],
        "help": [str(SCRIPT), "--help"],
    }
    least = dict.fromkeys((*ours, "ask", "sqlmodel"), float("inf"))
    for n in range(runs):
        asked = {"ask": [str(SCRIPT), *home.argv("ask", ASK.format(100 + n), "--as", "ana", "--wait")]} if n < 3 else {}
        for name, argv in {"sqlmodel": [sys.executable, "-c", "import sqlmodel"], **ours, **asked}.items():
            least[name] = min(least[name], _processor_s(argv))
    peer = least.pop("sqlmodel")
    return {**{f"{name}_ratio": round(took / peer, 2) for name, took in least.items()}, "sqlmodel_s": round(peer, 3)}


def _processor_s(argv: list[str]) -> float:
    """The processor time of a process and its children, which other work on the machine hardly stretches."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, check=True, env=clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
