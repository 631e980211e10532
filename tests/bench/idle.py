"""What waiting costs: an idle server with a chat, and `list`, `show` and `ask` beside 100,000 resting tasks.

Both servers idle side by side, so that whatever else the machine does meets both; a third on another empty home tells
how far two equal ones differ. The commands are run in turn on either home, and compared by their medians.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench import one_chat
from tests.bench.one_chat import cpu_s
from tests.bench.resting import add_resting
from tests.homes import CliHome, copy_home, make_home

OUT = Path("build/bench/idle.json")
MOST_RATIO = 2.0
MOST_CPU_PERCENT = 0.5
"""Percent of one core that the resting tasks may add: less than two equal servers may differ."""


@dataclass(frozen=True, slots=True)
class Homes:
    """An empty home, another, and one with resting tasks. Each has one staged task, so that `show` has one to show.

    The second is given a chat at last.
    """

    empty: CliHome
    twin: CliHome
    full: CliHome


def main(argv: list[str]) -> int:
    """Measure, print the table, write the file; 1 when a goal was missed."""
    options = _options(argv)
    with tempfile.TemporaryDirectory(prefix="countersign-idle-") as folder:
        homes = _homes(Path(folder), options.tasks)
        figures: dict[str, object] = {"tasks": options.tasks, "seconds": options.seconds, "runs": options.runs}
        figures |= _idle(homes, options.seconds)
        figures |= _commands(homes, options.runs)
        figures |= asyncio.run(one_chat.measure(homes.twin, options.seconds))
    figures["failed"] = missed(figures)
    _report(figures, options.out)
    return 1 if figures["failed"] else 0


def missed(figures: dict[str, object]) -> list[str]:
    """The goals that these figures do not meet."""

    def above(name: str, most: float) -> bool:
        value = figures[name]
        assert isinstance(value, float)
        return value > most

    noise = figures["idle_cpu_noise_percent"]
    assert isinstance(noise, float)
    failed = [f"{name}_ratio above {MOST_RATIO}" for name in COMMANDS if above(f"{name}_ratio", MOST_RATIO)]
    failed += [f"{name} above {most:g}" for name, most in one_chat.LIMITS.items() if above(name, most)]
    if above("idle_cpu_added_percent", max(MOST_CPU_PERCENT, 2 * noise)):
        failed.append(f"idle_cpu_added_percent above {MOST_CPU_PERCENT} of a core and above twice the noise")
    return failed


def _options(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.idle", description=__doc__)
    parser.add_argument("--tasks", type=int, default=100_000, help="how many tasks rest in `staged`")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long the servers idle")
    parser.add_argument("--runs", type=int, default=31, help="how often each command is timed")
    parser.add_argument("--out", type=Path, default=OUT)
    return parser.parse_args(argv)


def _homes(folder: Path, tasks: int) -> Homes:
    template = make_home(folder / "template")
    template.staged()
    homes = Homes(*(copy_home(template, folder / name) for name in ("empty", "twin", "full")))
    began = time.monotonic()
    rows = add_resting(homes.full, tasks)
    print(f"{tasks:,} resting tasks, {rows:,} rows, written in {time.monotonic() - began:.0f} s", flush=True)
    return homes


# -- idle servers --------------------------------------------------------------------------------------------------


def _idle(homes: Homes, seconds: float) -> dict[str, float]:
    """Processor time of three servers that have nothing to do, in percent of one core."""
    with _serving(homes.empty) as empty, _serving(homes.twin) as twin, _serving(homes.full) as full:
        processes = (empty, twin, full)
        time.sleep(min(5.0, seconds))  # what starting takes is not idling
        before = [cpu_s(process.pid) for process in processes]
        began = time.monotonic()
        time.sleep(seconds)
        span = time.monotonic() - began
        first, second, loaded = (
            100 * (cpu_s(process.pid) - earlier) / span for process, earlier in zip(processes, before, strict=True)
        )
    return {
        "idle_cpu_empty_percent": (first + second) / 2,
        "idle_cpu_full_percent": loaded,
        "idle_cpu_noise_percent": abs(first - second),
        "idle_cpu_added_percent": loaded - (first + second) / 2,
        "idle_cpu_ratio": 2 * loaded / (first + second) if first + second else 1.0,
    }


@contextmanager
def _serving(home: CliHome) -> Iterator[subprocess.Popen[bytes]]:
    process = home.start("serve", stdout=subprocess.DEVNULL)
    assert process.stderr is not None
    assert process.stderr.readline().startswith(b"countersign: serving "), "the server did not start"
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


# -- commands ------------------------------------------------------------------------------------------------------

COMMANDS: dict[str, tuple[object, ...]] = {
    "list": ("list", "--json"),
    "list_staged": ("list", "--state", "staged", "--json"),
    "show": ("show", 1, "--json"),
    "ask": ("ask", "set server.timeout to 31 in config/app.yaml", "--as", "ana", "--json"),
}


def _commands(homes: Homes, runs: int) -> dict[str, float]:
    """The median of each command on either home, as a ratio, in one process so that its start hides nothing."""
    found: dict[str, float] = {}
    for name, words in COMMANDS.items():
        times: dict[str, list[float]] = {"empty": [], "full": []}
        for _ in range(runs + 1):
            for kind, home in (("empty", homes.empty), ("full", homes.full)):
                began = time.perf_counter()
                said = home.call(*words)
                times[kind].append(time.perf_counter() - began)
                assert said.code == 0, said
        empty, full = (statistics.median(times[kind][1:]) for kind in ("empty", "full"))
        found |= {f"{name}_empty_ms": 1000 * empty, f"{name}_full_ms": 1000 * full, f"{name}_ratio": full / empty}
    return found


# -- the report ----------------------------------------------------------------------------------------------------


def _report(figures: dict[str, object], out: Path) -> None:
    rounded = {name: round(value, 3) if isinstance(value, float) else value for name, value in figures.items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(rounded, indent=2) + "\n")
    print(f"{'':24}{'empty':>12}{'full':>12}{'ratio':>9}")
    cpu = (rounded["idle_cpu_empty_percent"], rounded["idle_cpu_full_percent"], rounded["idle_cpu_ratio"])
    print("{:24}{:>11}%{:>11}%{:>9}".format("idle server, of a core", *cpu))
    for name in COMMANDS:
        row = (rounded[f"{name}_{what}"] for what in ("empty_ms", "full_ms", "ratio"))
        print("{:24}{:>9} ms{:>9} ms{:>9}".format(name.replace("_", " --state "), *row))
    for name, value in rounded.items():
        if name.startswith("chat_"):
            print(f"{name:40}{value:>9}")
    print(f"goals missed: {', '.join(map(str, rounded['failed'])) if rounded['failed'] else 'none'}")  # type: ignore[call-overload]
    print(f"{out} on {platform.platform()}, Python {platform.python_version()}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
