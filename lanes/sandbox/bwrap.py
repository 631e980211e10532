"""bubblewrap as the sandbox: started from an empty environment, killed with everything in it.

bwrap 0.8 shows its own environment to the sandbox in ``/proc/1/environ`` even with ``--clearenv``
(containers/bubblewrap#725), so it gets none. As root, the command runs as a user of its own, dropped by ``setpriv``
inside: root in a user namespace still is root to ``/proc/sys``, where a core_pattern starts programs on the host, and
to limits on processes. Measured with bwrap 0.8 on Linux 6.18; a root without ``setpriv`` is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from lanes.sandbox.cgroup import Cgroups, counting
from lanes.sandbox.folders import own_folder, sweep
from lanes.sandbox.launch import GATED, LaunchPlan
from lanes.sandbox.mounts import SCRATCH, environment, give_files, let_connect, shown
from lanes.sandbox.overlay import laid
from lanes.sandbox.result import LayeredFiles, SandboxResult, SandboxRun

_MIB: Final = 1024 * 1024

# What of the host's /etc programs need to run; nothing that names its people, networks or keys.
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
    """How bwrap is called here. With `setpriv`, by root: each run gets its own user id from the given range.

    `layering` are the words of `lanes.sandbox.overlay` that lay a run's folder over other files, where that works.
    `calls` is the filter of system calls, empty where this kind of machine has none. `groups` makes control groups,
    where they are ours to make.
    """

    program: str
    known: frozenset[str]
    setpriv: str | None = None
    first_uid: int = _INSIDE_UID
    uids: int = 1
    calls: bytes = b""
    layering: tuple[str, ...] = ()
    groups: Cgroups | None = field(default=None, repr=False)

    def hand_over(self, directory: Path, *, layered: bool = False) -> int:
        """Give the files of `directory` to the user of one run; that user's id inside.

        A layered run is the first user's, to whom the files beneath belong.
        """
        if self.setpriv is None:
            return _INSIDE_UID
        uid = self.first_uid if layered else self.first_uid + 1 + secrets.randbelow(self.uids - 1)
        give_files(directory, uid)
        return uid

    def write_etc(self, folder: Path, uid: int = _INSIDE_UID) -> Path:
        """A small ``/etc`` below `folder`."""
        folder.chmod(0o711)  # bwrap may look in as another user; nothing of this is secret
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
        """bwrap's options: what is seen, what is not, and the environment inside; `binds` are seen and not written."""
        words = [*self._spaces(), "--clearenv"]
        for name, value in environment.items():
            words += ["--setenv", name, value]
        words += ["--ro-bind", "/usr", "/usr", *self._system(), "--proc", "/proc", "--dev", "/dev"]
        for path in ("/etc", "/etc/ssl", "/home"):
            words += ["--perms", "0755", "--dir", path]
        for path in SCRATCH:
            size = ["--size", str(tmp_mib * _MIB)] if "--size" in self.known else []
            words += ["--perms", "1777", *size, "--tmpfs", path]
        for name in _ETC:
            words += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
        for name in _ETC_FILES:
            words += ["--ro-bind", str(etc / name), f"/etc/{name}"]
        above = {str(parent) for _, inside in binds for parent in PurePosixPath(inside).parents}
        for path in sorted(above - {"/", "/tmp", "/home", "/home/lane"}):  # noqa: S108 - inside
            words += ["--perms", "0755", "--dir", path]  # of itself bwrap closes what it makes to the run's own user
        for outside, inside in binds:
            words += ["--ro-bind", str(outside), inside]
        words += ["--dir", "/work"]
        # /proc too: a file there that only its mode protects belongs to whoever root is outside
        closed = ["/proc", "/dev", "/", *(["/usr/local/etc"] if _LOCAL_ETC.is_dir() else [])]
        words += [word for path in closed for word in ("--remount-ro", path)]
        return [*words, "--bind", str(work), "/work", "--chdir", "/work"]

    def inner(self, argv: Sequence[str], uid: int) -> list[str]:
        """`argv` as the run's own user, without any right to become another."""
        if self.setpriv is None:
            return list(argv)
        drop = ["--reuid", str(uid), "--regid", str(uid), "--clear-groups", "--no-new-privs"]
        return [self.setpriv, *drop, "--inh-caps=-all", "--bounding-set=-all", "--", *argv]

    def _spaces(self) -> list[str]:
        shared = ["--die-with-parent", "--new-session", "--hostname", "sandbox", "--cap-drop", "ALL"]
        if self.setpriv is not None:
            spaces = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
            kept = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")  # for setpriv, which leaves none of them
            return [*spaces, *shared, *(word for cap in kept for word in ("--cap-add", cap))]
        nested = ["--disable-userns"] if "--disable-userns" in self.known else []
        ids = ["--uid", str(_INSIDE_UID), "--gid", str(_INSIDE_UID)]
        return ["--unshare-all", "--unshare-user", *nested, *ids, *shared]

    @staticmethod
    def _system() -> list[str]:
        """The old top-level folders, as the host has them: links into /usr, or folders of their own."""
        words: list[str] = []
        for name in ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"):
            path = Path(name)
            if path.is_symlink():
                words += ["--symlink", str(path.readlink()), name]
            elif path.is_dir():
                words += ["--ro-bind", name, name]
        if _LOCAL_ETC.is_dir():
            words += ["--tmpfs", "/usr/local/etc"]
        return words


class BwrapSandbox:
    """`Sandbox` by bubblewrap; see `find_sandbox`."""

    kind = "bwrap"

    def __init__(self, bwrap: Bwrap) -> None:
        self.bwrap = bwrap
        owner = None if bwrap.setpriv is None else bwrap.first_uid
        self.layers = LayeredFiles(owner) if bwrap.layering else None
        self.counts = counting(bwrap.groups)

    async def run(self, run: SandboxRun) -> SandboxResult:
        """Run it; whatever happens, cancelling included, nothing of it lives on."""
        await asyncio.to_thread(sweep)
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(own_folder())
            let_connect(run.doors, None if self.bwrap.setpriv is None else self.bwrap.first_uid)
            beside = shown(run, folder)
            before: list[str] = []
            work = run.directory
            if run.beneath is not None:
                before, work = laid(self.bwrap.layering, run.directory, run.beneath)
            uid = await asyncio.to_thread(self.bwrap.hand_over, run.directory, layered=bool(before))
            etc = self.bwrap.write_etc(folder, uid)
            tmp_mib = min(run.confines.memory_mib, 512)
            options = self.bwrap.options(work, etc, environment(run.environment), tmp_mib, beside.binds)
            argv = self.bwrap.inner([*GATED, *beside.before, *run.argv], uid)
            start = LaunchPlan(stack, run, folder, self.bwrap.groups)
            return await start.go([*before, self.bwrap.program], options, argv, self.bwrap.calls)
