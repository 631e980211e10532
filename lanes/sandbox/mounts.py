"""What a run is shown beside its folder: programs of the host, files of its own home, and its doors.

The files that we make for it lie in one folder of ours, and are seen below ``/run/countersign``, where nothing can be
written. The home is copied from there by the run's own user, so that what is in it belongs to that user.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from core.model.change import show_path
from core.model.errors import PermanentError
from lanes import filetree
from lanes.sandbox import forward
from lanes.sandbox.result import PortForward, SandboxRun

INSIDE: Final = "/run/countersign"
HOME: Final = "/home/lane"
WORK: Final = "/work"
SCRATCH: Final = ("/tmp", "/dev/shm", HOME)  # noqa: S108 - inside, and in memory
_PYTHON: Final = "/usr/bin/python3"
_RELAY: Final = Path(forward.__file__)

# Shown as a whole, each of these would show what is nobody's business; below the second sort nothing is a program.
_NEVER_WHOLE: Final = ("/etc", "/proc", "/sys", "/dev", "/run", "/var", "/root", "/home", "/boot", "/tmp", WORK)  # noqa: S108
_NEVER_BELOW: Final = ("/etc", "/proc", "/sys", "/dev", "/run", "/boot", "/var/run", "/var/lib/docker", WORK)
_SECRETS: Final = frozenset({".ssh", ".gnupg", ".aws", ".kube", ".docker", ".netrc", ".git-credentials", ".pgpass"})
# The copy keeps no mode that could matter, and the words of the command are never read as a script.
_FURNISH: Final = f'/bin/cp -R {INSIDE}/home/. "$HOME"/ && exec "$@"'


@dataclass(frozen=True, slots=True)
class MountedPaths:
    """What to bind read-only, as (path outside, path inside), and the words to put before the command."""

    binds: tuple[tuple[Path, str], ...]
    before: tuple[str, ...]

    def __bool__(self) -> bool:
        """True if there is anything to bind."""
        return bool(self.binds)


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a run: what every program needs, and what the lane gives."""
    own = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": HOME, "USER": "lane", "TMPDIR": "/tmp"}  # noqa: S108 - inside
    return own | {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"} | dict(given)


def shown(run: SandboxRun, folder: Path, *, image: bool = False) -> MountedPaths:
    """Make what `run` is shown, below `folder` of ours; an `image` has a Python of its own for the doors.

    Raises `PermanentError` for programs and home files that cannot be shown.
    """
    binds: list[tuple[Path, str]] = [(path, os.fspath(path)) for path in programs(run.programs)]
    before: list[str] = []
    if run.home:
        furnish(run.home, folder / "home")
        binds.append((folder / "home", f"{INSIDE}/home"))
        before += ["/bin/sh", "-c", _FURNISH, "home"]
    if run.doors:
        own = folder / "relay.py"
        own.write_bytes(_RELAY.read_bytes())
        own.chmod(0o644)
        binds.append((own, f"{INSIDE}/relay.py"))
        binds += [(door.socket, f"{INSIDE}/{n}.sock") for n, door in enumerate(run.doors)]
        python, base = _python(image=image)
        binds += base
        ways = [f"{door.port}={INSIDE}/{n}.sock" for n, door in enumerate(run.doors)]
        before += [python, "-I", "-S", "-E", f"{INSIDE}/relay.py", *ways, "--"]
    return MountedPaths(tuple(binds), tuple(before))


def programs(paths: Sequence[Path]) -> list[Path]:
    """The paths to show, without those that /usr shows already; raises `PermanentError` for one that would tell."""
    kept: list[Path] = []
    for path in paths:
        if problem := _untellable(path):
            message = f"The sandbox does not show {show_path(os.fsencode(path))}: {problem}"
            raise PermanentError("programs_refused", message, "Name the folder of the program alone.")
        if not path.is_relative_to("/usr"):
            kept.append(path)
    return sorted(set(kept))


def _untellable(path: Path) -> str:
    """Why a path must not be shown; empty when it may."""
    if not path.is_absolute() or ".." in path.parts:
        return "its path is not absolute"
    try:
        real = path.resolve(strict=True)
    except OSError:
        return "there is no such file or folder"
    for at in (path, real):
        if any(Path(root).is_relative_to(at) for root in _NEVER_WHOLE) or at in (Path.home(), at.anchor):
            return "it holds more than programs"
        if any(at.is_relative_to(root) for root in _NEVER_BELOW):
            return "no programs belong there"
        if at.parent == Path("/home") or _SECRETS & set(at.parts):
            return "it is where people keep secrets"
    if real.is_dir() and (found := sorted(_SECRETS & set(os.listdir(real)))):  # noqa: PTH208 - names are all it needs
        return f"it holds {found[0]}"
    return "" if real.is_dir() or real.is_file() else "it is no file and no folder"


def furnish(home: Mapping[str, bytes], folder: Path) -> None:
    """Write the files of a home; a path that would leave it is a mistake of ours."""
    folder.mkdir(mode=0o755)
    for name, content in home.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise PermanentError("bad_home", f"{name!r} is no path below a home", "Give it relative to the home.")
        file = folder / path
        for parent in reversed(path.parents):
            (folder / parent).mkdir(mode=0o755, exist_ok=True)
        file.write_bytes(content)
        file.chmod(0o755 if content.startswith(b"#!") else 0o644)


def _python(*, image: bool) -> tuple[str, list[tuple[Path, str]]]:
    """The Python that serves the doors inside, and what to bind for it: nothing where the host's own is in /usr."""
    if image:
        return "python3", []
    if Path(_PYTHON).exists():
        return _PYTHON, []
    base = sys.base_prefix
    program = f"{base}/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    return program, [] if base.startswith("/usr/") else [(Path(base), base)]


def give_files(directory: Path, uid: int) -> None:
    """Make `directory` and all in it the run's own user's; for root only."""
    filetree.give(directory, uid)
    directory.chmod(0o755)  # what starts the sandbox goes there without root's right to pass every door


def let_connect(doors: Sequence[PortForward], uid: int | None) -> None:
    """Let the run's own user `uid` through the doors' sockets; None when it is the one that we are.

    The socket's mode then says nothing, so its folder must be closed to others; raises `PermanentError` when it is not.
    """
    for door in doors:
        if not door.socket.is_socket():
            message = f"The door {show_path(os.fsencode(door.socket))} is no socket"
            raise PermanentError("no_door", message, "Start the broker before the sandbox.")
        if uid is None:
            continue
        if door.socket.parent.stat().st_mode & 0o077:
            message = f"The folder of the door {show_path(os.fsencode(door.socket))} is open to others"
            raise PermanentError("open_door", message, "Keep the socket in a folder of mode 0700.")
        door.socket.chmod(0o666)
