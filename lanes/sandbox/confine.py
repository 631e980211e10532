"""The launcher of the landlock sandbox: a process of its own that confines a child, waits, and leaves nothing behind.

Started as ``python -I confine.py LIBRARIES`` with its orders as JSON on standard input; imports nothing of ours, so
that it starts soon. It stays outside the confinement, adopts every orphan of the command, and kills them all when the
command ended, when it is told to end, and when who started it died. What it found is written to the given descriptor
as JSON.
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

sys.path.append(sys.argv[1])  # where our own libraries are, for a python that does not look there by itself

from landlock.plumbing import FSAccess, get_create_ruleset, get_restrict_self, landlock_abi_version
from landlock.porcelain import Ruleset

_PDEATHSIG, _SUBREAPER, _NO_NEW_PRIVS, _SECCOMP, _FILTER, _DUMPABLE = 1, 36, 38, 22, 2, 4
_TCP = 0b11  # bind and connect
_SCOPES = 0b11  # abstract sockets, and signals to who is outside
_NODES = FSAccess.MAKE_CHAR | FSAccess.MAKE_BLOCK


class Attributes(ctypes.Structure):
    """The kernel's landlock_ruleset_attr of ABI 6, which the library does not know yet."""

    _fields_ = [("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class ConfinedProgram(ctypes.Structure):
    """The kernel's sock_fprog."""

    _fields_ = [("count", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def main() -> int:
    """Do as ordered; 0 when the command was started and all of it is dead."""
    orders = json.load(sys.stdin)
    libc = ctypes.CDLL(None, use_errno=True)
    signal.signal(signal.SIGTERM, lambda *_: _end(orders, None))
    libc.prctl(_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    libc.prctl(_SUBREAPER, 1, 0, 0, 0)
    if os.getppid() != orders["asker"]:  # died before we could be told of it
        return 1
    child = os.fork()
    if child == 0:
        _become(libc, orders)
    os.close(1)
    os.close(2)
    while True:
        pid, status = os.wait()
        if pid == child:
            _end(orders, os.waitstatus_to_exitcode(status))


def _become(libc: ctypes.CDLL, orders: dict[str, Any]) -> None:
    """Confine ourselves and run the command; what fails is told, and nothing is run unconfined."""
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.setsid()
        libc.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.chdir(orders["work"])
        _landlock(orders)
        _filter(libc, bytes.fromhex(orders["calls"]))
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.closerange(3, 65536)
    except Exception as error:  # noqa: BLE001 - told to who asked; the command is not run
        os.write(orders["report"], json.dumps({"failed": repr(error)}).encode())
        os._exit(125)
    try:
        os.execvpe(orders["argv"][0], orders["argv"], orders["environment"])  # noqa: S606 - no shell is wanted
    except OSError as error:
        os.write(2, f"{orders['argv'][0]}: {error.strerror}\n".encode("utf-8", "surrogateescape"))
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


def _landlock(orders: dict[str, Any]) -> None:
    """Only the named paths, no TCP, no abstract sockets, no signals to others, also for all that is started."""
    rules = Ruleset()  # handles every right on files that this kernel knows
    seen = FSAccess.EXECUTE | FSAccess.READ_FILE | FSAccess.READ_DIR
    for path in orders["reads"]:
        rules.allow(path, rules=seen if Path(path).is_dir() else seen & FSAccess.all_file())
    for path in orders["writes"]:
        rules.allow(path, rules=FSAccess.all() & ~_NODES)
    for path in orders["devices"]:
        rules.allow(path, rules=FSAccess.READ_FILE | FSAccess.WRITE_FILE)
    rules.apply()
    if landlock_abi_version() >= 6:
        attributes = Attributes(0, _TCP, _SCOPES)
        create = get_create_ruleset()
        create.func.argtypes = (ctypes.c_long, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint32)
        get_restrict_self()(create(ctypes.addressof(attributes), ctypes.sizeof(attributes), 0), 0)


def _filter(libc: ctypes.CDLL, calls: bytes) -> None:
    """Load the filter of system calls; without it the network would be open."""
    held = ctypes.create_string_buffer(calls, len(calls))
    program = ConfinedProgram(len(calls) // 8, ctypes.addressof(held))
    if not calls or libc.prctl(_SECCOMP, _FILTER, ctypes.byref(program), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the filter of system calls cannot be loaded")


def _end(orders: dict[str, Any], code: int | None) -> None:
    """Kill what is left until nobody is left, tell how the command ended, and end."""
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
    """Every process below us; orphans are our own children."""
    found, pending = [], [os.getpid()]
    while pending:
        pid = pending.pop()
        try:
            children = [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
        except OSError:
            continue
        found += children
        pending += children
    return found


if __name__ == "__main__":
    sys.exit(main())
