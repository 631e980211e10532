"""Prepares what a run sees in addition to its work folder: host programs, the files of its home, and its port forwards.

Generated files lie in a folder of the host that is mounted read-only at ``/run/countersign``. The run's own user copies
the home from there, so the copies belong to that user.
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
from lanes.filetree.ownership import change_owner
from lanes.sandbox import forward
from lanes.sandbox.interface import PortForward, SandboxRun

RUN_DIR: Final = "/run/countersign"
HOME: Final = "/home/lane"
WORK: Final = "/work"
SCRATCH: Final = ("/tmp", "/dev/shm", HOME)  # noqa: S108 - inside, and in memory
_PYTHON: Final = "/usr/bin/python3"
_FORWARD_SCRIPT: Final = Path(forward.__file__)

# The first sort is never mounted whole, since it holds more than programs; the second sort holds no programs at all.
_NEVER_WHOLE: Final = ("/etc", "/proc", "/sys", "/dev", "/run", "/var", "/root", "/home", "/boot", "/tmp", WORK)  # noqa: S108
_NEVER_BELOW: Final = ("/etc", "/proc", "/sys", "/dev", "/run", "/boot", "/var/run", "/var/lib/docker", WORK)
_SECRETS: Final = frozenset({".ssh", ".gnupg", ".aws", ".kube", ".docker", ".netrc", ".git-credentials", ".pgpass"})
# The copy keeps no modes, and the command is passed as arguments, so the shell never parses it.
_COPY_HOME: Final = f'/bin/cp -R {RUN_DIR}/home/. "$HOME"/ && exec "$@"'


@dataclass(frozen=True, slots=True)
class Mounts:
    """Read-only bind mounts as (path on the host, path inside), and the argv to put before the command."""

    binds: tuple[tuple[Path, str], ...]
    argv_prefix: tuple[str, ...]

    def __bool__(self) -> bool:
        """True if there is at least one bind mount."""
        return bool(self.binds)


def sandbox_environment(added: Mapping[str, str]) -> dict[str, str]:
    """The complete environment of a run: what every program needs, overridden by `added`."""
    base = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": HOME, "USER": "lane", "TMPDIR": "/tmp"}  # noqa: S108 - inside
    return base | {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"} | dict(added)


def prepare_mounts(run: SandboxRun, folder: Path, *, image: bool = False) -> Mounts:
    """Write the generated files of `run` below `folder` and list what to mount.

    Args:
        run: The run; its home files, programs and forwards are used.
        folder: An existing host folder that belongs to this run.
        image: True when the run has its own root; its ``python3`` then serves the forwards.

    Raises:
        PermanentError: A program or a home file cannot be mounted.
    """
    binds: list[tuple[Path, str]] = [(path, os.fspath(path)) for path in program_mounts(run.programs)]
    argv_prefix: list[str] = []
    if run.home:
        write_home(run.home, folder / "home")
        binds.append((folder / "home", f"{RUN_DIR}/home"))
        argv_prefix += ["/bin/sh", "-c", _COPY_HOME, "home"]
    if run.forwards:
        script = folder / "forward.py"
        script.write_bytes(_FORWARD_SCRIPT.read_bytes())
        script.chmod(0o644)
        binds.append((script, f"{RUN_DIR}/forward.py"))
        binds += [(port.socket, f"{RUN_DIR}/{n}.sock") for n, port in enumerate(run.forwards)]
        python, base = _forward_python(image=image)
        binds += base
        ports = [f"{port.port}={RUN_DIR}/{n}.sock" for n, port in enumerate(run.forwards)]
        argv_prefix += [python, "-I", "-S", "-E", f"{RUN_DIR}/forward.py", *ports, "--"]
    return Mounts(tuple(binds), tuple(argv_prefix))


def program_mounts(paths: Sequence[Path]) -> list[Path]:
    """The program paths to mount, without those below /usr, which is always mounted.

    Raises:
        PermanentError: A path holds more than programs, or does not exist.
    """
    mounts: list[Path] = []
    for path in paths:
        if problem := _why_not_mounted(path):
            message = f"The sandbox cannot mount {show_path(os.fsencode(path))}: {problem}"
            raise PermanentError("programs_refused", message, "Name the folder that holds only the program.")
        if not path.is_relative_to("/usr"):
            mounts.append(path)
    return sorted(set(mounts))


def _why_not_mounted(path: Path) -> str:
    """Why a path must not be mounted; empty when it may be."""
    if not path.is_absolute() or ".." in path.parts:
        return "its path is not absolute"
    try:
        real = path.resolve(strict=True)
    except OSError:
        return "it does not exist"
    for at in (path, real):
        if any(Path(root).is_relative_to(at) for root in _NEVER_WHOLE) or at in (Path.home(), at.anchor):
            return "it holds more than programs"
        if any(at.is_relative_to(root) for root in _NEVER_BELOW):
            return "programs do not belong there"
        if at.parent == Path("/home") or _SECRETS & set(at.parts):
            return "people keep secrets there"
    if real.is_dir() and (secrets := sorted(_SECRETS & set(os.listdir(real)))):  # noqa: PTH208 - names are all it needs
        return f"it holds {secrets[0]}"
    return "" if real.is_dir() or real.is_file() else "it is neither a file nor a folder"


def write_home(home: Mapping[str, bytes], folder: Path) -> None:
    """Create `folder` and write the files of a home into it, keyed by relative path; scripts become executable.

    Raises:
        PermanentError: A path is absolute or leaves the home.
    """
    folder.mkdir(mode=0o755)
    for name, content in home.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise PermanentError("bad_home", f"{name!r} is not a path below the home", "Use a path relative to it.")
        file = folder / path
        for parent in reversed(path.parents):
            (folder / parent).mkdir(mode=0o755, exist_ok=True)
        file.write_bytes(content)
        file.chmod(0o755 if content.startswith(b"#!") else 0o644)


def _forward_python(*, image: bool) -> tuple[str, list[tuple[Path, str]]]:
    """The Python that serves the forwards inside, and what to mount for it: nothing when it lies in /usr."""
    if image:
        return "python3", []
    if Path(_PYTHON).exists():
        return _PYTHON, []
    base = sys.base_prefix
    program = f"{base}/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    return program, [] if base.startswith("/usr/") else [(Path(base), base)]


def give_to_run_user(directory: Path, uid: int) -> None:
    """Change the owner of `directory` and everything in it to the run's user `uid`; needs root."""
    change_owner(directory, uid)
    directory.chmod(0o755)  # the process that starts the sandbox has dropped root's right to enter closed folders


def allow_connections(forwards: Sequence[PortForward], uid: int | None) -> None:
    """Let the run's user `uid` connect to the sockets of its forwards; None when that user is ours.

    The sockets are then open to everyone, so their folder must be closed to others.

    Raises:
        PermanentError: A socket is missing, or its folder is open to others.
    """
    for port in forwards:
        if not port.socket.is_socket():
            message = f"The forwarded path {show_path(os.fsencode(port.socket))} is not a socket"
            raise PermanentError("no_door", message, "Start the broker before the sandbox.")
        if uid is None:
            continue
        if port.socket.parent.stat().st_mode & 0o077:
            message = f"The folder of the forwarded socket {show_path(os.fsencode(port.socket))} is open to others"
            raise PermanentError("open_door", message, "Keep the socket in a folder of mode 0700.")
        port.socket.chmod(0o666)
