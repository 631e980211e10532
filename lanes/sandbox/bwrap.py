"""The bubblewrap sandbox: starts bwrap from an empty environment and kills everything it started.

bwrap 0.8 exposes its own environment inside the sandbox in ``/proc/1/environ`` even with ``--clearenv``
(https://github.com/containers/bubblewrap/issues/725), so it gets an empty one. When root starts it, ``setpriv`` inside
switches to a user of the run's own: root in a user namespace is still root to ``/proc/sys``, where core_pattern starts
programs on the host, and to process limits. Measured with bwrap 0.8 on Linux 6.18. Root without ``setpriv`` is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from lanes.sandbox.bwrap_process import GATE_ARGV, BwrapProcess
from lanes.sandbox.cgroup import CgroupParent, memory_accounting
from lanes.sandbox.folders import locked_folder, remove_abandoned
from lanes.sandbox.interface import OverlaySupport, SandboxResult, SandboxRun
from lanes.sandbox.mounts import SCRATCH, allow_connections, give_to_run_user, prepare_mounts, sandbox_environment
from lanes.sandbox.overlay import overlay_prefix

_MIB: Final = 1024 * 1024

# The files of the host's /etc that programs need; none that names its users, networks or keys.
_ETC: Final = (
    "alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "mime.types", "magic",
    "ssl/certs", "ssl/openssl.cnf", "python3", "perl", "java-17-openjdk", "java-21-openjdk",
)  # fmt: skip
_ETC_FILES: Final = {
    "passwd": "root:x:0:0:root:/:/bin/false\nlane:x:{uid}:{uid}:lane:/home/lane:/bin/sh\n",
    "group": "root:x:0:\nlane:x:{uid}:\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
_LOCAL_ETC: Final = Path("/usr/local/etc")
_INSIDE_UID: Final = 65534


@dataclass(frozen=True, slots=True)
class Bwrap:
    """How to call bwrap on this host.

    Attributes:
        program: The path of bwrap.
        known_options: The options it has.
        setpriv: The path of setpriv; set when root starts bwrap, and each run then gets its own user id.
        first_uid: The first of those user ids.
        uids: How many there are.
        syscall_filter: The seccomp filter; empty on machines that have none.
        overlay_argv: The argv of `lanes.sandbox.overlay` that mounts a layer; empty where that does not work.
        cgroups: Where to create control groups; None where we may not.
    """

    program: str
    known_options: frozenset[str]
    setpriv: str | None = None
    first_uid: int = _INSIDE_UID
    uids: int = 1
    syscall_filter: bytes = b""
    overlay_argv: tuple[str, ...] = ()
    cgroups: CgroupParent | None = field(default=None, repr=False)

    def give_to_run_user(self, directory: Path, *, layered: bool = False) -> int:
        """Change the owner of `directory` to the user of one run; returns that user's id inside.

        A `layered` run uses the first user, who owns the files under the layer.
        """
        if self.setpriv is None:
            return _INSIDE_UID
        uid = self.first_uid if layered else self.first_uid + 1 + secrets.randbelow(self.uids - 1)
        give_to_run_user(directory, uid)
        return uid

    def write_etc(self, folder: Path, uid: int = _INSIDE_UID) -> Path:
        """Write a minimal ``/etc`` below `folder`; returns its path."""
        folder.chmod(0o711)  # bwrap may enter it as another user; nothing in it is secret
        etc = folder / "etc"
        etc.mkdir(mode=0o755)
        for name, text in _ETC_FILES.items():
            (etc / name).write_text(text.format(uid=uid), encoding="ascii")
            (etc / name).chmod(0o644)
        return etc

    def options(
        self,
        work: Path,
        etc: Path,
        environment: Mapping[str, str],
        tmp_mib: int,
        binds: Sequence[tuple[Path, str]] = (),
    ) -> list[str]:
        """bwrap's options: the mounts, the namespaces and the environment inside; `binds` are mounted read-only."""
        options = [*self._namespace_options(), "--clearenv"]
        for name, value in environment.items():
            options += ["--setenv", name, value]
        options += ["--ro-bind", "/usr", "/usr", *self._system_mounts(), "--proc", "/proc", "--dev", "/dev"]
        for path in ("/etc", "/etc/ssl", "/home"):
            options += ["--perms", "0755", "--dir", path]
        for path in SCRATCH:
            size = ["--size", str(tmp_mib * _MIB)] if "--size" in self.known_options else []
            options += ["--perms", "1777", *size, "--tmpfs", path]
        for name in _ETC:
            options += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
        for name in _ETC_FILES:
            options += ["--ro-bind", str(etc / name), f"/etc/{name}"]
        parents = {str(parent) for _, inside in binds for parent in PurePosixPath(inside).parents}
        for path in sorted(parents - {"/", "/tmp", "/home", "/home/lane"}):  # noqa: S108 - inside
            options += ["--perms", "0755", "--dir", path]  # bwrap's default mode is closed to other users
        for outside, inside in binds:
            options += ["--ro-bind", str(outside), inside]
        options += ["--dir", "/work"]
        # /proc too: some files there are protected only by their mode, and root outside owns them
        read_only = ["/proc", "/dev", "/", *(["/usr/local/etc"] if _LOCAL_ETC.is_dir() else [])]
        options += [option for path in read_only for option in ("--remount-ro", path)]
        return [*options, "--bind", str(work), "/work", "--chdir", "/work"]

    def as_run_user(self, argv: Sequence[str], uid: int) -> list[str]:
        """`argv` run as the user `uid`, without any capability to become another user."""
        if self.setpriv is None:
            return list(argv)
        drop = ["--reuid", str(uid), "--regid", str(uid), "--clear-groups", "--no-new-privs"]
        return [self.setpriv, *drop, "--inh-caps=-all", "--bounding-set=-all", "--", *argv]

    def _namespace_options(self) -> list[str]:
        shared = ["--die-with-parent", "--new-session", "--hostname", "sandbox", "--cap-drop", "ALL"]
        if self.setpriv is not None:
            namespaces = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
            capabilities = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")  # setpriv needs these, and drops them all
            return [*namespaces, *shared, *(option for cap in capabilities for option in ("--cap-add", cap))]
        nested = ["--disable-userns"] if "--disable-userns" in self.known_options else []
        ids = ["--uid", str(_INSIDE_UID), "--gid", str(_INSIDE_UID)]
        return ["--unshare-all", "--unshare-user", *nested, *ids, *shared]

    @staticmethod
    def _system_mounts() -> list[str]:
        """Mount options for /bin, /lib and the like: links into /usr, or folders, as on the host."""
        options: list[str] = []
        for name in ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"):
            path = Path(name)
            if path.is_symlink():
                options += ["--symlink", str(path.readlink()), name]
            elif path.is_dir():
                options += ["--ro-bind", name, name]
        if _LOCAL_ETC.is_dir():
            options += ["--tmpfs", "/usr/local/etc"]
        return options


class BwrapSandbox:
    """The `Sandbox` that uses bubblewrap; `find_bwrap` creates it."""

    kind = "bwrap"

    def __init__(self, bwrap: Bwrap) -> None:
        self.bwrap = bwrap
        owner = None if bwrap.setpriv is None else bwrap.first_uid
        self.overlay = OverlaySupport(owner) if bwrap.overlay_argv else None
        self.memory_accounting = memory_accounting(bwrap.cgroups)

    async def run(self, run: SandboxRun) -> SandboxResult:
        """Run a command to its end; no process of it survives, even on cancellation."""
        await asyncio.to_thread(remove_abandoned)
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(locked_folder())
            allow_connections(run.forwards, None if self.bwrap.setpriv is None else self.bwrap.first_uid)
            mounts = prepare_mounts(run, folder)
            before: list[str] = []
            work = run.directory
            if run.lower is not None:
                before, work = overlay_prefix(self.bwrap.overlay_argv, run.directory, run.lower)
            uid = await asyncio.to_thread(self.bwrap.give_to_run_user, run.directory, layered=bool(before))
            etc = self.bwrap.write_etc(folder, uid)
            tmp_mib = min(run.limits.memory_mib, 512)
            options = self.bwrap.options(work, etc, sandbox_environment(run.environment), tmp_mib, mounts.binds)
            argv = self.bwrap.as_run_user([*GATE_ARGV, *mounts.argv_prefix, *run.argv], uid)
            process = BwrapProcess(stack, run, folder, self.bwrap.cgroups)
            return await process.run([*before, self.bwrap.program], options, argv, self.bwrap.syscall_filter)
