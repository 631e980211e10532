"""The launcher process of the landlock sandbox: confines a child, runs the command in it, and kills what remains.

Started as ``python -I landlock_launcher.py LIBRARIES`` with its orders as JSON on standard input. It imports none of
our modules, so that it starts fast. It stays unconfined, adopts every orphan of the command, and kills all of them when
the command ends, when it receives SIGTERM, and when its parent dies. It writes the result as JSON to the given
descriptor.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

sys.path.append(sys.argv[1])  # our libraries, since -I removes them from the path

from landlock.plumbing import FSAccess, get_create_ruleset, get_restrict_self, landlock_abi_version
from landlock.porcelain import Ruleset

_PDEATHSIG, _SUBREAPER, _NO_NEW_PRIVS, _SECCOMP, _FILTER, _DUMPABLE = 1, 36, 38, 22, 2, 4
_TCP = 0b11  # bind and connect
_SCOPES = 0b11  # abstract sockets and signals outside the sandbox
_NODES = FSAccess.MAKE_CHAR | FSAccess.MAKE_BLOCK


class RulesetAttributes(ctypes.Structure):
    """The kernel's landlock_ruleset_attr of ABI 6, which the landlock library does not have yet."""

    _fields_ = [("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class SockFprog(ctypes.Structure):
    """The kernel's struct sock_fprog."""

    _fields_ = [("count", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def main() -> int:
    """Run the command; exits with 0 when it was started and all of it is dead."""
    orders = json.load(sys.stdin)
    libc = ctypes.CDLL(None, use_errno=True)
    signal.signal(signal.SIGTERM, lambda *_: _kill_all_and_exit(orders, None))
    libc.prctl(_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    libc.prctl(_SUBREAPER, 1, 0, 0, 0)
    if os.getppid() != orders["parent"]:  # it died before PR_SET_PDEATHSIG took effect
        return 1
    child = os.fork()
    if child == 0:
        _exec_confined(libc, orders)
    os.close(1)
    os.close(2)
    while True:
        pid, status = os.wait()
        if pid == child:
            _kill_all_and_exit(orders, os.waitstatus_to_exitcode(status))


def _exec_confined(libc: ctypes.CDLL, orders: dict[str, Any]) -> None:
    """Confine this process and run the command; reports a failure instead of running it unconfined."""
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.setsid()
        libc.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.chdir(orders["work"])
        _apply_landlock(orders)
        _load_seccomp(libc, bytes.fromhex(orders["calls"]))
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.closerange(3, 65536)
    except Exception as error:  # noqa: BLE001 - reported to the parent; the command does not run
        os.write(orders["report"], json.dumps({"failed": repr(error)}).encode())
        os._exit(125)
    try:
        os.execvpe(orders["argv"][0], orders["argv"], orders["environment"])  # noqa: S606 - no shell is wanted
    except OSError as error:
        os.write(2, f"{orders['argv'][0]}: {error.strerror}\n".encode("utf-8", "surrogateescape"))
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


def _apply_landlock(orders: dict[str, Any]) -> None:
    """Restrict this process and its children to the named paths, without TCP, abstract sockets and foreign signals."""
    rules = Ruleset()  # covers every file right that this kernel knows
    readable = FSAccess.EXECUTE | FSAccess.READ_FILE | FSAccess.READ_DIR
    for path in orders["reads"]:
        rules.allow(path, rules=readable if Path(path).is_dir() else readable & FSAccess.all_file())
    for path in orders["writes"]:
        rules.allow(path, rules=FSAccess.all() & ~_NODES)
    for path in orders["devices"]:
        rules.allow(path, rules=FSAccess.READ_FILE | FSAccess.WRITE_FILE)
    rules.apply()
    if landlock_abi_version() >= 6:
        attributes = RulesetAttributes(0, _TCP, _SCOPES)
        create = get_create_ruleset()
        create.func.argtypes = (ctypes.c_long, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint32)
        get_restrict_self()(create(ctypes.addressof(attributes), ctypes.sizeof(attributes), 0), 0)


def _load_seccomp(libc: ctypes.CDLL, syscall_filter: bytes) -> None:
    """Load the seccomp filter; it is required because Landlock alone leaves the network open."""
    buffer = ctypes.create_string_buffer(syscall_filter, len(syscall_filter))
    program = SockFprog(len(syscall_filter) // 8, ctypes.addressof(buffer))
    if not syscall_filter or libc.prctl(_SECCOMP, _FILTER, ctypes.byref(program), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot load the seccomp filter")


def _kill_all_and_exit(orders: dict[str, Any], code: int | None) -> None:
    """Kill all descendants, report how the command ended, and exit."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        for pid in _descendants():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            break
        time.sleep(0.002)
    if code is not None:
        os.write(orders["report"], json.dumps({"exit-code": code if code >= 0 else 128 - code}).encode())
    os._exit(0)


def _descendants() -> list[int]:
    """Every descendant of this process; orphans are its children, since it is a subreaper."""
    pids, pending = [], [os.getpid()]
    while pending:
        pid = pending.pop()
        try:
            children = [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
        except OSError:
            continue
        pids += children
        pending += children
    return pids


if __name__ == "__main__":
    sys.exit(main())
