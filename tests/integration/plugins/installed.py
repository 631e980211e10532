"""Distributions of plugins, installed by pip into a folder of their own, and made up from a few lines."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.homes import clean_environment

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "tests" / "plugin_example"
TEMPLATE = ROOT / "docs" / "plugin-template"


def pip_install(source: Path, target: Path) -> Path:
    """Install a checkout as people do, with what this environment has; nothing is fetched."""
    offline = ("--disable-pip-version-check", "--no-index", "--no-deps", "--no-build-isolation")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", *offline, "--target", str(target), str(source)],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return target


def made_up(site: Path, name: str, module: str, **entries: str) -> Path:
    """Write an installed distribution: one module, and for each kind the entry points ``name = object``."""
    package = name.replace("-", "_")
    site.mkdir(parents=True, exist_ok=True)
    (site / f"{package}.py").write_text(module)
    about = site / f"{package}-2.1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.1\n")
    groups = [f"[countersign.{kind}]\n{said.replace(':', f'{package}:')}\n" for kind, said in entries.items()]
    (about / "entry_points.txt").write_text("\n".join(groups))
    return site


def enable(root: Path, lines: str) -> None:
    """Add a ``plugins:`` section to a home's configuration."""
    config = root / "countersign.yaml"
    config.write_text(f"{config.read_text()}\nplugins:\n{lines}\n")
