"""Fetches the counterparts that come as packages: exactly these versions, checked by hash, below build/.

`make counterparts` runs it. `package(name)` gives a test the folder of one, and skips, or fails with CI=true, without;
`agent(name)` gives it an agent's program, `engine()` the Python that has llama.cpp. aider, opencode and gemini-cli are
large and are not fetched: their tests run where COUNTERSIGN_TEST_AIDER, _OPENCODE or _GEMINI_CLI names the program, or
where it is in the PATH.
"""

from __future__ import annotations

import atexit
import base64
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1] / "build" / "npm"
MINI: Final = ROOT.with_name("mini")
ENGINE: Final = ROOT.with_name("engine")
PINNED: Final = ROOT.parents[1] / "requirements"
HAS_ENGINE: Final = sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64")
"""Where llama.cpp must be to be had; elsewhere it may."""
WORK: Final = Path("/work")  # where a sandbox shows the files that are worked on, so that it shows nothing else of it

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


AGENTS: Final = {
    "claude-code": ("@anthropic-ai/claude-code-linux-x64", "claude"),
    "codex": ("@openai/codex", "vendor/x86_64-unknown-linux-musl/bin/codex"),
}
OPTIONAL: Final = {
    "aider": ("aider", "aider-chat"),
    "opencode": ("opencode", "opencode-ai"),
    "gemini-cli": ("gemini", "@google/gemini-cli"),
}


def agent(name: str) -> Path:
    """The program of an agent; a test without it skips, or fails with CI=true if it is one that is fetched."""
    import pytest

    if name in AGENTS:
        folder, inside = AGENTS[name]
        return _outside_work(package(folder)) / inside
    if name in OPTIONAL:
        program, needed = OPTIONAL[name]
        found = os.environ.get(f"COUNTERSIGN_TEST_{name.upper().replace('-', '_')}") or shutil.which(program)
        if found is None:
            pytest.skip(f"needs the package {needed}: install it, or name its program")
        return Path(found)
    if not (MINI / ".done").is_file():
        told = "needs the Python package mini-swe-agent in build/mini: run `make counterparts`"
        if os.environ.get("CI") == "true":
            pytest.fail(told)
        pytest.skip(told)
    return _outside_work(MINI) / "bin" / "mini"


def engine() -> Path:
    """The Python that has llama.cpp; a test without it skips, or fails with CI=true where it must be to be had."""
    import pytest

    if not (ENGINE / ".done").is_file():
        told = "needs the Python package xllamacpp in build/engine: run `make counterparts`"
        if os.environ.get("CI") == "true" and HAS_ENGINE:
            pytest.fail(told)
        pytest.skip(told)
    return ENGINE / "bin" / "python"


@cache
def _outside_work(folder: Path) -> Path:
    """The folder, or a copy of it where a sandbox can show it: of a checkout below /work it shows nothing."""
    real = folder.resolve()
    if not real.is_relative_to(WORK):
        return real
    copy = Path(tempfile.mkdtemp(prefix="countersign-agent-")) / real.name
    atexit.register(shutil.rmtree, copy.parent, ignore_errors=True)
    shutil.copytree(real, copy, symlinks=True, copy_function=_linked)
    for script in copy.glob("bin/mini*"):
        text = script.read_text()
        script.unlink()
        script.write_text(text.replace(str(real), str(copy)))
        script.chmod(0o755)
    return copy


def _linked(source: str, target: str) -> str:
    """A hard link where that works, else a copy."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)
    return target


def fetch_python(folder: Path) -> None:
    """Build the environment `folder` unless it is here: only what `requirements/` names for it, which is all."""
    pinned = PINNED / f"{folder.name}.txt"
    pins = hashlib.sha256(pinned.read_bytes()).hexdigest()
    done = folder / ".done"
    if done.is_file() and done.read_text() == pins:
        return
    shutil.rmtree(folder, ignore_errors=True)
    quiet: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "timeout": 600}
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, **quiet)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "-q", "-q", "--disable-pip-version-check", "--no-input"]
    subprocess.run([*pip, "install", "--no-deps", "--require-hashes", "-r", str(pinned)], check=True, **quiet)
    done.write_text(pins)


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
    for needed, folder in (("mini-swe-agent", MINI), ("xllamacpp", ENGINE)):
        try:
            fetch_python(folder)
        except (OSError, subprocess.SubprocessError) as error:
            missing.append(f"{needed} ({type(error).__name__})")
    if missing:
        print(f"Not on this machine: {', '.join(missing)}. Their tests skip until `make counterparts` can fetch them.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
