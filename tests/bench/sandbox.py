"""What a sandbox costs to start: `true` bare, in bubblewrap, with a socket and a home, and on a layer over kept files.

The peer is the same program started bare by the same event loop; beside them stands bubblewrap alone, called by hand
with the fewest options that close anything. All are run in turn, so that whatever else the machine does meets them all.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from core.model.errors import Problem
from lanes.sandbox import PortForward, Sandbox, SandboxLimits, SandboxRun, find_bwrap

OUT: Final = Path("build/bench/sandbox.json")
MOST_MS: Final = 60.0
"""What a sandbox may add to the bare program, by medians."""
PROGRAM: Final = "/usr/bin/true"
ALONE: Final = (
    "bwrap",
    "--unshare-all",
    "--die-with-parent",
    "--ro-bind",
    "/",
    "/",
    "--proc",
    "/proc",
    "--dev",
    "/dev",
)

Start = Callable[[], Awaitable[object]]


def main(argv: list[str]) -> int:
    """Measure, print the table, write the file; 1 when a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sandbox", description=__doc__)
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(argv)
    sandbox = find_bwrap()
    if isinstance(sandbox, Problem):
        print(sandbox.sentence())
        return 1
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder:
        figures: dict[str, object] = {
            "runs": options.runs,
            **asyncio.run(_measure(sandbox, Path(folder), options.runs)),
        }
    figures["failed"] = missed(figures)
    _report(figures, options.out)
    return 1 if figures["failed"] else 0


def missed(figures: dict[str, object]) -> list[str]:
    """The goals that these figures do not meet."""
    return [
        f"{name}_over_bare_ms above {MOST_MS}"
        for name in ("sandbox", "door", "layer")
        if f"{name}_over_bare_ms" in figures and float(str(figures[f"{name}_over_bare_ms"])) > MOST_MS
    ]


async def _measure(sandbox: Sandbox, folder: Path, runs: int) -> dict[str, float]:
    work, ours = folder / "work", folder / "ours"
    work.mkdir()
    ours.mkdir(mode=0o700)
    socket = ours / "door.sock"
    server = await asyncio.start_unix_server(lambda _, writer: writer.close(), path=socket)
    confines = SandboxLimits(wall_s=60, memory_mib=256)
    doors, home = (PortForward(socket, 8099),), {".tool/config": b"x"}
    ways: dict[str, Start] = {
        "bare": lambda: _bare(PROGRAM),
        "bwrap": lambda: _bare(*ALONE, PROGRAM),
        "sandbox": lambda: _in(sandbox, SandboxRun((PROGRAM,), work, confines)),
        "door": lambda: _in(sandbox, SandboxRun((PROGRAM,), work, confines, forwards=doors, home=home)),
    }
    if sandbox.overlay is not None:
        beneath = folder / "beneath"
        beneath.mkdir()
        if sandbox.overlay.owner is not None:
            os.chown(beneath, sandbox.overlay.owner, sandbox.overlay.owner)
        ways["layer"] = lambda: _layered(sandbox, folder, beneath, confines)
    times: dict[str, list[float]] = {name: [] for name in ways}
    async with server:
        for _ in range(runs + 2):
            for name, start in ways.items():
                began = time.perf_counter()
                await start()
                times[name].append(1000 * (time.perf_counter() - began))
    medians = {name: statistics.median(all_[2:]) for name, all_ in times.items()}
    found = {f"{name}_ms": median for name, median in medians.items()}
    for name in [name for name in medians if name != "bare"]:
        found[f"{name}_over_bare_ms"] = medians[name] - medians["bare"]
        found[f"{name}_to_bare_ratio"] = medians[name] / medians["bare"]
    found["sandbox_to_bwrap_ratio"] = medians["sandbox"] / medians["bwrap"]
    return found


async def _bare(*argv: str) -> None:
    process = await asyncio.create_subprocess_exec(*argv, stdin=asyncio.subprocess.DEVNULL)
    assert await process.wait() == 0


async def _in(sandbox: Sandbox, run: SandboxRun) -> None:
    ran = await sandbox.run(run)
    assert ran.exit_code == 0, ran


async def _layered(sandbox: Sandbox, folder: Path, beneath: Path, confines: SandboxLimits) -> None:
    own = Path(tempfile.mkdtemp(dir=folder))
    (own / "files").mkdir()
    await _in(sandbox, SandboxRun((PROGRAM,), own / "files", confines, lower=beneath))


def _report(figures: dict[str, object], out: Path) -> None:
    rounded = {name: round(value, 2) if isinstance(value, float) else value for name, value in figures.items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(rounded, indent=2) + "\n")
    print(f"{'median of ' + str(rounded['runs']):24}{'':>12}{'over bare':>14}{'ratio':>9}")
    print(f"{'bare':24}{rounded['bare_ms']:>9} ms")
    titles = {"bwrap": "bwrap by hand", "sandbox": "sandbox", "door": "with door and home", "layer": "on a layer"}
    for name, title in titles.items():
        if f"{name}_ms" not in rounded:
            continue
        over, ratio = rounded[f"{name}_over_bare_ms"], rounded[f"{name}_to_bare_ratio"]
        print(f"{title:24}{rounded[f'{name}_ms']:>9} ms{over:>11} ms{ratio:>9}")
    print(f"goals missed: {', '.join(map(str, rounded['failed'])) if rounded['failed'] else 'none'}")  # type: ignore[call-overload]
    print(f"{out} on {platform.platform()}, Python {platform.python_version()}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
