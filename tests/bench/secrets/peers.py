"""The engines that the check of secrets is measured against. None of them may ask a vendor: validation stays off."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

ENGINES: Final = Path("build/secret-engines/bin")
ENVIRONMENT: Final = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8"}
_BETTERLEAKS: Final = ("--no-banner", "--no-color", "--no-allow-signatures", "--jsonl", "-o", "-")
_KINGFISHER: Final = ("--no-validate", "--no-update-check", "--no-ignore", "--no-dedup", "--format", "jsonl")


def kinds() -> dict[str, str]:
    """The expression of every rule that Kingfisher reports by: those of Betterleaks and of Veles."""
    rules = json.loads(_run("kingfisher", "rules", "list", "--format", "json"))
    return {rule["id"]: rule["pattern"] for rule in rules if rule["visible"]}


def betterleaks(folder: Path) -> tuple[set[str], float]:
    """The names of the files with findings, and the seconds it took."""
    began = time.monotonic()
    out = _run("betterleaks", "fs", str(folder), *_BETTERLEAKS)
    return {
        _name(line["finding"]["location"]["path"]) for line in _lines(out) if "finding" in line
    }, time.monotonic() - began


def kingfisher(folder: Path, cache: Path) -> tuple[set[str], float]:
    """As `betterleaks`; `cache` keeps its compiled rules for the next call."""
    began = time.monotonic()
    out = _run("kingfisher", "scan", str(folder), *_KINGFISHER, "--git-history", "none", "--rule-cache-dir", str(cache))
    return {_name(line["finding"]["path"]) for line in _lines(out) if "finding" in line}, time.monotonic() - began


def detect_secrets(texts: dict[str, str]) -> set[str]:
    """The names of the texts in which a detector of detect-secrets finds something, by `analyze_string` alone."""
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    kinds_of_detectors: Iterable[Any] = get_mapping_from_secret_type_to_class().values()
    detectors = [kind() for kind in kinds_of_detectors]
    return {
        name for name, text in texts.items() if any(_detects(d, line) for line in text.split("\n") for d in detectors)
    }


def _detects(detector: Any, line: str) -> bool:
    limit = getattr(detector, "entropy_limit", 0.0)
    found = detector.analyze_string(line[:2000])
    return any(not limit or detector.calculate_shannon_entropy(secret) > limit for secret in found)


def _run(program: str, *arguments: str) -> str:
    command = [str((ENGINES / program).absolute()), *arguments]
    done = subprocess.run(command, capture_output=True, env=ENVIRONMENT, timeout=600, check=False)
    if not done.stdout:
        raise SystemExit(f"{program} said nothing: {done.stderr.decode()[-500:]}")
    return done.stdout.decode()


def _lines(out: str) -> Iterator[dict[str, Any]]:
    return (json.loads(line) for line in out.split("\n") if line.startswith("{"))


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]
