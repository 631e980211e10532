"""Which system calls a sandbox may not make, as a seccomp filter in the kernel's own form (classic BPF).

Namespaces and dropped capabilities refuse most of these anyway; the filter keeps the code behind them, where kernels
have had their holes, out of reach: new user namespaces, mounts, bpf, io_uring, keys, tracing; and kinds of sockets that
no network namespace confines (vsock leads out of a virtual machine). It is a list of refusals, as Docker's was made
into one of permissions: programs that are new get along, what is known to be dangerous does not.

Written here because it is 40 instructions' worth of format: libseccomp's bindings are tied to the system's Python
(``python3-seccomp``) or have seen no release since 2021 (``pyseccomp``). Numbers are from the kernel's unistd.h.
"""

from __future__ import annotations

import errno
import platform
import struct
from collections.abc import Mapping
from typing import Final

# name: (x86_64, aarch64); -1 where the machine has no such call
_REFUSED: Final[Mapping[str, tuple[int, int]]] = {
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "process_madvise": (440, 440), "process_mrelease": (448, 448),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428),
    "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fspick": (433, 433), "mount_setattr": (442, 442), "open_tree_attr": (467, 467), "unshare": (272, 97),
    "setns": (308, 268), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142), "acct": (163, 89),
    "quotactl": (179, 60), "quotactl_fd": (443, 443), "syslog": (103, 116), "settimeofday": (164, 170),
    "clock_settime": (227, 112), "clock_adjtime": (305, 266), "adjtimex": (159, 171),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "lookup_dcookie": (212, 18),
    "fanotify_init": (300, 262), "vhangup": (153, 58), "sethostname": (170, 161), "setdomainname": (171, 162),
    "iopl": (172, -1), "ioperm": (173, -1), "modify_ldt": (154, -1), "uselib": (134, -1), "nfsservctl": (180, 42),
    "move_pages": (279, 239), "migrate_pages": (256, 238),
}  # fmt: skip
# As if the kernel were older: the C library and node then take the older way, which can be judged or does not matter.
_UNKNOWN: Final[Mapping[str, tuple[int, int]]] = {
    "clone3": (435, 435), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    # memory that no process shows, and that nobody could count: a mapping of it may be closed and given back
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "mq_open": (240, 180), "mq_unlink": (241, 181),
    "semget": (64, 190), "semop": (65, 193), "semctl": (66, 191), "semtimedop": (220, 192),
    "msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188), "msgctl": (71, 187),
}  # fmt: skip
# Of the same kind. With an IPC namespace of the run's own a page each is had, for programs that only want to be found.
_SHARED: Final[Mapping[str, tuple[int, int]]] = {
    "shmget": (29, 194), "shmctl": (31, 195), "shmat": (30, 196), "shmdt": (67, 197),
}  # fmt: skip
# What acts on any process of the same user, by the argument that must be 0 for ourselves: without a process namespace
# that is the worker too. `kill` is kept apart by Landlock itself.
_ON_OTHERS: Final[Mapping[str, tuple[tuple[int, int], tuple[tuple[int, int], ...]]]] = {
    "prlimit64": ((302, 261), ((0, 0),)),
    "sched_setaffinity": ((203, 122), ((0, 0),)),
    "sched_setparam": ((142, 118), ((0, 0),)),
    "sched_setscheduler": ((144, 119), ((0, 0),)),
    "sched_setattr": ((314, 274), ((0, 0),)),
    "setpriority": ((141, 140), ((0, 0), (1, 0))),  # PRIO_PROCESS
    "ioprio_set": ((251, 30), ((0, 1), (1, 0))),  # IOPRIO_WHO_PROCESS
}
# Changes of a file that is named, not opened: what Landlock does not judge.
_BY_PATH: Final[Mapping[str, tuple[int, int]]] = {
    "chmod": (90, -1), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, -1), "lchown": (94, -1),
    "fchownat": (260, 54), "utime": (132, -1), "utimes": (235, -1), "futimesat": (261, -1), "setxattr": (188, 5),
    "lsetxattr": (189, 6), "setxattrat": (463, 463), "removexattr": (197, 14), "lremovexattr": (198, 15),
    "removexattrat": (466, 466), "file_setattr": (469, 469),
}  # fmt: skip
_MACHINES: Final = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_CLONE: Final = (56, 220)
_IOCTL: Final = (16, 29)
_SOCKET: Final = (41, 198)
_UTIMENSAT: Final = (280, 88)
_SHMGET: Final = (29, 194)
_SETSOCKOPT: Final = (54, 208)

# every CLONE_NEW* that clone takes; time namespaces can be asked of clone3 and unshare alone
_NEW_SPACES: Final = 0x7E020000
_FAMILIES: Final = (1, 2, 10, 16)  # unix, inet, inet6 and netlink: each is confined by the namespaces
_TERMINAL: Final = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX: typing for the person at the terminal

_PAGE: Final = 4096
_SOL_SOCKET: Final = 1
_BUFFERS: Final = (7, 8, 32, 33)  # SO_SNDBUF, SO_RCVBUF, and both by force

_LOAD, _EQUAL, _SET, _AT_LEAST, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16

_Instruction = tuple[int, int, int, int]


def call_filter(machine: str = platform.machine(), *, landlock: bool = False) -> bytes:
    """The filter for this kind of machine; empty where we have none.

    With `landlock` no socket can be made at all, files are changed through open files only, nothing is done to other
    processes, and there is no memory of System V.
    """
    if machine not in _MACHINES:
        return b""
    column, number = _MACHINES[machine]
    program: list[_Instruction] = [
        (_LOAD, 0, 0, _MACHINE),
        (_EQUAL, 1, 0, number),
        (_RETURN, 0, 0, _KILL),  # another table of calls, by a 32-bit program
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, 0x40000000),
        _refuse(errno.ENOSYS),  # x32: a third table
    ]
    refused = {**_REFUSED, **(_BY_PATH if landlock else {})}
    unknown = {**_UNKNOWN, **(_SHARED if landlock else {})}
    for calls, error in ((refused, errno.EPERM), (unknown, errno.ENOSYS)):
        for numbers in calls.values():
            if numbers[column] >= 0:
                program += [(_EQUAL, 0, 1, numbers[column]), _refuse(error)]
    program += _judged(_CLONE[column], 0, [(_SET, 0, 1, _NEW_SPACES), _refuse(errno.EPERM)])
    terminal = [word for asked in _TERMINAL for word in ((_EQUAL, 0, 1, asked), _refuse(errno.EPERM))]
    program += _judged(_IOCTL[column], 1, terminal)
    program += _buffers_stay(_SETSOCKOPT[column])
    program += _alone(column) if landlock else _together(column)
    program.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _alone(column: int) -> list[_Instruction]:
    """For a run that shares its namespaces with the host: no sockets, and nothing that acts on others."""
    program = [(_EQUAL, 0, 1, _SOCKET[column]), _refuse(errno.EACCES)]
    program += _judged(_UTIMENSAT[column], 1, [(_EQUAL, 1, 0, 0), _refuse(errno.EPERM)])
    for numbers, arguments in _ON_OTHERS.values():
        for argument, ours in arguments:
            program += _judged(numbers[column], argument, [(_EQUAL, 1, 0, ours), _refuse(errno.EPERM)])
    return program


def _together(column: int) -> list[_Instruction]:
    """For a run with namespaces of its own: the kinds of sockets that they confine, and a page of shared memory."""
    families = [(_EQUAL, len(_FAMILIES) - n, 0, family) for n, family in enumerate(_FAMILIES)]
    program = _judged(_SOCKET[column], 0, [*families, _refuse(errno.EAFNOSUPPORT)])
    high = [(_LOAD, 0, 0, _ARGUMENTS + 12), (_EQUAL, 1, 0, 0), _refuse(errno.EINVAL)]  # as if beyond shmmax
    return program + _judged(_SHMGET[column], 1, [(_AT_LEAST, 0, 1, _PAGE + 1), _refuse(errno.EINVAL), *high])


def _buffers_stay(call: int) -> list[_Instruction]:
    """A socket's buffers stay as large as they are, and who asks for more is told that it was done.

    By default one holds 208 KiB at most, so counting sockets bounds what is in them.
    """
    asked = [word for option in _BUFFERS for word in ((_EQUAL, 0, 1, option), _refuse(0))]
    level = [(_LOAD, 0, 0, _ARGUMENTS + 8), (_EQUAL, 0, len(asked) + 1, _SOL_SOCKET)]
    body = [*level, (_LOAD, 0, 0, _ARGUMENTS + 16), *asked, (_LOAD, 0, 0, _NUMBER)]
    return [(_EQUAL, 0, len(body), call), *body]


def _judged(call: int, argument: int, judgement: list[_Instruction]) -> list[_Instruction]:
    """Judge a call by the low half of one argument; what is not refused goes on with the call's number loaded."""
    body = [(_LOAD, 0, 0, _ARGUMENTS + 8 * argument), *judgement, (_LOAD, 0, 0, _NUMBER)]
    return [(_EQUAL, 0, len(body), call), *body]


def _refuse(error: int) -> _Instruction:
    return (_RETURN, 0, 0, _ERRNO | error)
