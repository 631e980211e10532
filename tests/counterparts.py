"""Fetches the counterparts that come as npm packages: exactly these versions, checked by hash, into build/npm.

`make counterparts` runs it. `package(name)` gives a test the folder of one, and skips, or fails with CI=true, without.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1] / "build" / "npm"

PINS: Final = {
    name: (version, sha512)
    for name, version, sha512 in (
        line.split()
        for line in Path(__file__).with_suffix(".txt").read_text(encoding="ascii").splitlines()
        if line and not line.startswith("#")
    )
}
"""Package: (version, sha512 of its archive in base64)."""


def package(name: str) -> Path:
    """The folder of one package; a test without it skips, or fails with CI=true."""
    import pytest

    folder = _folder(name)
    if not folder.is_dir():
        told = f"needs the npm package {name}: run `make counterparts` where npm is installed"
        if os.environ.get("CI") == "true":
            pytest.fail(told)
        pytest.skip(told)
    return folder


def fetch(name: str) -> None:
    """Fetch and unpack one package unless it is here; raises `RuntimeError` when its hash is wrong."""
    version, sha512 = PINS[name]
    folder = _folder(name)
    if folder.is_dir():
        return
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm is not installed")
    with tempfile.TemporaryDirectory() as temporary:
        run = [npm, "pack", "--silent", f"{name}@{version}", "--pack-destination", temporary]
        subprocess.run(run, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=300)
        (archive,) = Path(temporary).iterdir()
        found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if found != sha512:
            raise RuntimeError(f"{name}@{version} is not the archive that was pinned (sha512 {found})")
        with tarfile.open(archive) as packed:
            packed.extractall(Path(temporary) / "out", filter="data")
        folder.parent.mkdir(parents=True, exist_ok=True)
        new = folder.with_name(f".{folder.name}-{os.getpid()}")
        shutil.move(Path(temporary) / "out" / "package", new)
        new.rename(folder)


def _folder(name: str) -> Path:
    return ROOT / f"{name.replace('/', '-').replace('@', '')}-{PINS[name][0]}"


def main() -> int:
    """Fetch all of them; what cannot be had is named, and its tests skip."""
    missing = []
    for name in PINS:
        try:
            fetch(name)
        except (OSError, subprocess.SubprocessError) as error:
            missing.append(f"{name} ({type(error).__name__})")
    if missing:
        print(f"Not on this machine: {', '.join(missing)}. Their tests skip until `make counterparts` can fetch them.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
