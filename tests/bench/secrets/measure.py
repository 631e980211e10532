"""The check of secrets beside Betterleaks, Kingfisher and detect-secrets (`make bench-secrets`).

Recall is the share of what the union of the three finds, on invented secrets of every kind that the engines report.
Half of the kinds were not looked at when the engine was chosen (decision 0077): the goal is about those. Real files, of
the packages in this environment, show false alarms. Nothing is sent to a vendor.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from policies.secrets import scan
from tests.bench.secrets import peers
from tests.bench.secrets.samples import is_held_out, sample

OUT: Final = Path("build/bench/secrets.json")
PER_KIND: Final = 3
LEAST_RECALL: Final = 0.95
MOST_CERTAIN_PER_1000: Final = 1.0
MOST_CHANGE_MS: Final = 300.0
MOST_S_PER_MB: Final = 1.0
"""For one line of 10 MB."""


def main(argv: list[str]) -> int:
    """Measure, print the table, write the file; 1 when a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.secrets.measure", description=__doc__)
    parser.add_argument("--files", type=int, default=1000, help="real files to look for false alarms in")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(argv)
    figures = {**_recall(), **_real_files(options.files), **_costs()}
    figures["failed"] = _missed(figures)
    rounded = {name: round(value, 3) if isinstance(value, float) else value for name, value in figures.items()}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(rounded, indent=2) + "\n", encoding="utf-8")
    for name, value in rounded.items():
        print(f"{name:36}{value!s:>12}")
    return 1 if figures["failed"] else 0


def _recall() -> dict[str, object]:
    """What each engine and our check finds of the union, on the held-out kinds."""
    texts = {
        f"{number:05}.txt": (name, sample(name, regex, copy))
        for number, (name, regex, copy) in enumerate(
            (name, regex, copy) for name, regex in sorted(peers.kinds().items()) for copy in range(PER_KIND)
        )
    }
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as made:
        folder, cache = Path(made, "samples"), Path(made, "cache")
        folder.mkdir()
        for name, (_, text) in texts.items():
            (folder / name).write_text(text, encoding="utf-8", newline="")
        by_betterleaks, betterleaks_s = peers.betterleaks(folder)
        _, first_s = peers.kingfisher(folder, cache)
        by_kingfisher, kingfisher_s = peers.kingfisher(folder, cache)
    by_detectors = peers.detect_secrets({name: text for name, (_, text) in texts.items()})
    began = time.monotonic()
    leaks = {name: scan(text.encode()).new for name, (_, text) in texts.items()}
    ours_s = time.monotonic() - began
    held_out = {name for name, (kind, _) in texts.items() if is_held_out(kind)}
    union = (by_betterleaks | by_kingfisher | by_detectors) & held_out
    parts = {
        "betterleaks": by_betterleaks,
        "kingfisher": by_kingfisher,
        "detect_secrets": by_detectors,
        "ours": {name for name, found in leaks.items() if found},
        "ours_certain": {name for name, found in leaks.items() if any(leak.certain for leak in found)},
    }
    shares: dict[str, object] = {f"{name}_recall": len(found & union) / len(union) for name, found in parts.items()}
    return {
        "samples": len(texts), "held_out_union": len(union), **shares, "betterleaks_s": betterleaks_s,
        "kingfisher_first_s": first_s, "kingfisher_s": kingfisher_s, "ours_s": ours_s,
    }  # fmt: skip


def _real_files(most: int) -> dict[str, object]:
    """How many real files have a certain finding, of a fixed choice among the installed packages."""
    root = Path(json.__file__).parent.parent  # the standard library, without its tests, which contain real keys
    roots = [root, *(Path(entry) for entry in sys.path if entry.endswith("site-packages"))]
    paths = sorted(
        {path for folder in roots for path in folder.rglob("*.py") if not {"test", "tests"} & set(path.parts)}
    )
    random.Random(79).shuffle(paths)
    alarms: list[str] = []
    for path in paths[:most]:
        alarms.extend(f"{path.name}: {leak.sentence()}" for leak in scan(path.read_bytes()).new if leak.certain)
    for alarm in alarms:
        print(alarm)
    files = min(most, len(paths))
    return {"files": files, "certain_per_1000_files": 1000 * len({a.split(":")[0] for a in alarms}) / max(files, 1)}


def _costs() -> dict[str, object]:
    """The time for a change of ten files of 10 KB, in a process that has scanned before, and for a line of 10 MB."""
    text = Path(argparse.__file__).read_bytes()
    blobs = [text[start : start + 10_000] for start in range(0, 50_000, 5_000)]
    runs = []
    for _ in range(5):
        began = time.process_time()
        for blob in blobs:
            scan(blob, blob[:5_000])
        runs.append((time.process_time() - began) * 1000)
    costs: Mapping[str, bytes] = {"letters": b"a" * 10_000_000, "words": b"api_key= " * 1_111_111}
    lines = {f"line_of_{name}_s_per_mb": _seconds_per_mb(line) for name, line in costs.items()}
    return {"change_of_10_files_ms": statistics.median(runs), **lines}


def _seconds_per_mb(blob: bytes) -> float:
    began = time.process_time()
    scan(blob)
    return (time.process_time() - began) * 1_000_000 / len(blob)


def _missed(figures: Mapping[str, object]) -> list[str]:
    """The goals of the issue that these figures miss."""
    most = {"certain_per_1000_files": MOST_CERTAIN_PER_1000, "change_of_10_files_ms": MOST_CHANGE_MS}
    most |= {name: MOST_S_PER_MB for name in figures if name.endswith("_s_per_mb")}
    missed = [name for name, limit in most.items() if float(str(figures[name])) > limit]
    return [*missed, *(["ours_recall"] if float(str(figures["ours_recall"])) < LEAST_RECALL else [])]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
